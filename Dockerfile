# The service as a container: `docker build -t python-executor .`, `docker run -p 8080:8080 python-executor`.
# docs/deploy/image.md has the arguments, what is inside, and how it may be run.

# --- The programs, and the names of the packages that they are linked to ---
FROM docker.io/library/debian:trixie-slim AS programs
WORKDIR /source
COPY tools/packages tools/progress tools/
RUN tools/packages compile
# With npm the page has an editor, which is bundled here; with --build-arg EDITOR=plain a text area.
ARG EDITOR=npm
RUN if [ "$EDITOR" = npm ]; then tools/packages page; fi
COPY . .
RUN tools/build /build && tools/install /build /usr/local /programs \
 && find /programs -type f -perm /111 -exec strip {} + \
 && find /programs -type f -perm /111 -exec ldd {} + | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | sort -u \
    | xargs realpath | xargs dpkg-query -S | cut -d: -f1 | sort -u >/packages

# --- Everything that runs, with what it takes to install it ---
FROM docker.io/library/debian:trixie-slim AS runtime
ARG PACKAGES=""
ARG REQUIREMENTS=""
# libopenblas0-serial is a BLAS without threads; scripts know America/New_York by its name in tzdata-legacy, US/Eastern.
ENV RUNS="python3-numpy python3-pandas libopenblas0-serial tzdata-legacy"
COPY --from=programs /packages /packages
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    $RUNS $(cat /packages) $PACKAGES ${REQUIREMENTS:+python3-venv}
# The wheels' place is below /usr, so that a worker's root may be /usr where there is no better one.
COPY ${REQUIREMENTS:-LICENSE} /requirements/
RUN if [ -n "$REQUIREMENTS" ]; then cd /requirements \
     && python3 -m venv --system-site-packages /usr/local/venv \
     && /usr/local/venv/bin/pip install --no-cache-dir -r requirements.txt \
     && /usr/local/venv/bin/pip uninstall -q -y pip; fi
COPY --from=programs /programs /
COPY packaging/docker/pick.py /pick.py
RUN python3 /pick.py /image $RUNS $(cat /packages) $PACKAGES

# --- The image ---
FROM scratch
ARG PRELOAD=""
ARG REQUIREMENTS=""
LABEL org.opencontainers.image.title="python-executor" \
      org.opencontainers.image.description="Runs Python that nobody trusts, each script in a fresh, confined process" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=runtime /image /
ENV PATH=/usr/local/bin \
    PYTHON_EXECUTOR_HOST=0.0.0.0 \
    PYTHON_EXECUTOR_PRELOAD=${PRELOAD} \
    PYTHON_EXECUTOR_VENV=${REQUIREMENTS:+/usr/local/venv}
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python-executor", "health"]
ENTRYPOINT ["/usr/local/bin/python-executor"]
