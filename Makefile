# The front door: everything below is done by Meson, apt, tests/run.py and tests/tiers/run.py.
#
#   make run     install what is missing, build, serve on $PORT (8080)
#   make test    install what is missing, build, run every test
#   make test-security [TIERS="user gvisor"]
#                run the contract and attack corpora on every platform, or on some: see tests/tiers
#   make second-opinion [TIERS="user gvisor"] [SECONDS=30] [SEED=N] [RENEW=1]
#                make every system call there is in a worker with drawn arguments, for SECONDS in each tier, look from outside
#                that nothing changed, and compare how a worker is confined with what is kept, or keep it anew
#   make image-test [IMAGE_PROFILES="docker restricted gvisor"] [IMAGE_ONLY=contract]
#                build the container image, look at it, and run the same corpora against it, in some profiles or in all, or
#                some categories of them
#   make check   all of these, one after the other, which takes an hour or two:
#     check-hardening  what the compiler and the linker put into the programs
#     check-tidy       clang-tidy, cppcheck and gcc's -fanalyzer over src/
#     check-valgrind   valgrind over the unit tests, and over a server that answers
#     check-tsan       ThreadSanitizer where there are threads
#     check-asan       every test, under AddressSanitizer and UndefinedBehaviorSanitizer
#   make coverage [TESTS="tests/integration tests/security"]
#                which lines the tests run: all of them, or unit tests and these
#   make build   build into build/
#   make install [PREFIX=/usr/local] [DESTDIR=]
#   make uninstall
#                install what was built below PREFIX, or take it away; both the same PREFIX and DESTDIR
#   make docs    write the pages that are made of the tables of options and commands: docs/CONFIGURATION.md, the manual pages
#   make deb     make the Debian package, in build/deb
#   make deb-test [RELEASES="bookworm trixie"]
#                build it for each release, and install, use, upgrade and purge it on a fresh system; needs root
#   make first-run-test [RELEASES="bookworm trixie"]
#                do what the README says to begin with on a fresh system of each release, and what may go wrong; needs root
#   make bench   measure this build beside a python3 started for each request: tables and a chart in build/bench
#   make bench-quick OLD=FOLDER | bench-size | bench-soak N=100000
#                measure it beside another build folder, by the size of what is sent, over many requests
#   make soak [SOAK_SECONDS=600] [SOAK_SEED=WORD]
#                clients of every kind at full load while zygotes and servers are killed; accounts for every request, and draws
#                the latency: build/soak; needs root
#   make fuzz [FUZZ_SECONDS=60] [FUZZERS="json request"]
#                look for input that breaks what reads it, for so long for each: tests/fuzz
#   make fuzz-keep [FUZZERS="json request"]
#                keep the smallest of what that has found, which make test goes through
#   make fuzz-server [FUZZ_SECONDS=60] | fuzz-server-keep
#                the same by AFL++ for the whole server and the HTTP library, which is built from Debian's source for it
#   make flood [FLOOD_SECONDS=10] [FLOODS="churn,slow readers"]
#                slow, idle, endless and ill-formed clients in crowds, for so long each, and whether others are answered meanwhile
#   make faults [FAULTS="server:recvmsg serve:zygote"] [FAULTS_EACH=5]
#                make every system call of the service fail, each error at some of its occurrences, or those with these names
#   make clean   remove the build folders

.DEFAULT_GOAL = build
.PHONY: run build clean docs packages test test-packages test-security security-packages second-opinion image-test \
        check check-hardening check-tidy check-valgrind check-tsan check-asan coverage analysis-packages \
        fuzz fuzz-keep fuzz-server fuzz-server-keep flood soak faults \
        install uninstall deb deb-test first-run-test bench bench-quick bench-size bench-soak bench-packages

# With make -j as well: what is to be built takes the packages.
.NOTPARALLEL:

run: packages build
	@exec build/python-executor serve

# build-weak is for tests/security/test_depth.py alone: layers can be switched off in it.
test: packages test-packages build
	@tools/build build-weak -Dlayers_off=true
	@/usr/bin/python3 tests/run.py build

test-security: packages security-packages build
	@/usr/bin/python3 tests/tiers/run.py build $(TIERS)

check: check-hardening check-tidy check-valgrind check-tsan check-asan

check-hardening: packages build
	@/usr/bin/python3 tests/hardening.py build

check-tidy: packages analysis-packages
	@tools/build build
	@[ -f build-tidy/build.ninja ] || CC=clang meson setup build-tidy -Dwerror=false -Deditor=plain >/dev/null
	@ninja -C build-tidy --quiet build.ninja >/dev/null
	@/usr/bin/python3 tests/analysis/read.py build build-tidy

check-valgrind: packages test-packages analysis-packages
	@/usr/bin/python3 tests/analysis/valgrind.py build-valgrind

check-tsan: packages test-packages build
	@/usr/bin/python3 tests/analysis/tsan.py build build-tsan

# With a sanitizer gcc warns of what is not there: as errors its warnings are the ordinary build's.
check-asan: packages test-packages
	@tools/build build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false
	@/usr/bin/python3 tests/run.py build-asan

coverage: packages test-packages analysis-packages
	@tools/build build-weak -Dlayers_off=true
	@/usr/bin/python3 tests/analysis/coverage.py build-coverage $(TESTS)

FUZZ_SECONDS = 60
FUZZ = /usr/bin/python3 tests/fuzz/run.py build-fuzz
fuzz:
	@tools/packages fuzz
	@CC=clang tools/build build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false -Deditor=plain
	@$(FUZZ) --seconds $(FUZZ_SECONDS) $(FUZZERS)

fuzz-keep:
	@$(FUZZ) --keep $(FUZZERS)

fuzz-server:
	@tools/packages afl
	@/usr/bin/python3 tests/fuzz/afl.py build-afl --seconds $(FUZZ_SECONDS)

fuzz-server-keep:
	@/usr/bin/python3 tests/fuzz/afl.py build-afl --keep

FLOOD_SECONDS = 10
flood: packages test-packages build
	@/usr/bin/python3 tests/floods/flood.py build $(FLOOD_SECONDS) "$(FLOODS)"

SECONDS = 30
second-opinion: packages security-packages build
	@/usr/bin/python3 tests/second_opinion/main.py build $(TIERS) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(RENEW),--renew)

image-test: security-packages
	@/usr/bin/python3 tests/tiers/image.py build $(IMAGE_PROFILES) $(if $(IMAGE_ONLY),--only=$(IMAGE_ONLY))

build:
	@tools/build build

docs: build
	@build/reference page >docs/CONFIGURATION.md
	@build/reference man >docs/man/python-executor.1
	@for command in $$(build/reference commands); do build/reference man $$command >docs/man/python-executor-$$command.1; done
	@build/reference sample >docs/python-executor.conf

PREFIX = /usr/local
install: packages build
	@tools/install build "$(PREFIX)" "$(DESTDIR)"

uninstall: build
	@tools/install --remove build "$(PREFIX)" "$(DESTDIR)"

deb: packages
	@tools/packages deb
	@tools/deb build/deb

deb-test: packages
	@tools/packages deb
	@/usr/bin/python3 tests/deploy/deb.py build $(RELEASES)

first-run-test: packages test-packages build
	@tools/packages deb
	@/usr/bin/python3 tests/deploy/first_run.py build $(RELEASES)

bench: packages bench-packages build
	@ninja -C build --quiet bench/bare
	@/usr/bin/python3 bench/bench.py full build

bench-quick: packages bench-packages build
	@/usr/bin/python3 bench/bench.py quick build "$(OLD)"

bench-size: packages bench-packages build
	@/usr/bin/python3 bench/bench.py size build

N = 100000
bench-soak: packages bench-packages build
	@/usr/bin/python3 bench/bench.py soak build --requests $(N)

soak: packages test-packages build
	@/usr/bin/python3 tests/soak/soak.py build

faults: packages test-packages build
	@FAULTS="$(FAULTS)" FAULTS_EACH="$(FAULTS_EACH)" /usr/bin/python3 tests/faults/matrix.py build

packages:
	@tools/packages run

test-packages:
	@tools/packages test

bench-packages:
	@tools/packages bench

security-packages:
	@tools/packages security

analysis-packages:
	@tools/packages analysis

clean:
	rm -rf build build-*
