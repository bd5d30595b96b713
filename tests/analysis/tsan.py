#!/usr/bin/python3
"""ThreadSanitizer where there are threads: tsan.py BUILD TSAN-BUILD.

A service has none, which tests/integration/test_threads.py sees on BUILD in all of its processes, under load. The manager
of `python-executor run` has some (src/cli/pump.c): it is built with ThreadSanitizer, put beside BUILD's server and zygote,
and has the tests of the command run against it. The last line is `N passed, N failed`.
"""
import os
import sys

from variant import Variant

# The threads of stdin and of the request are not waited for: the first may be in read() for ever, and ends with the process.
OPTIONS = "report_thread_leaks=0:exitcode=66:log_path={reports}/race"
TESTS = ["test_run_command.py", "test_run_places.py"]


def main():
    build, variant = os.path.abspath(sys.argv[1]), Variant(sys.argv[2])
    options = OPTIONS.format(reports=variant.reports)
    variant.compile(f'const char *__tsan_default_options(void);\nconst char *__tsan_default_options(void) {{ return "{options}"; }}\n',
                    "options.o", "-c", "-fPIC")
    variant.build("-Db_sanitize=thread", "-Db_lundef=false", "-Dwerror=false", link=[variant.path("options.o")])
    run = variant.place(server=os.path.join(build, "python-executor-server"), zygote=os.path.join(build, "python-executor-zygote"))
    pytest = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    variant.run("no process of a service has a second thread", [*pytest, "tests/integration/test_threads.py"], env={**os.environ, "BUILD": build})
    variant.run("test_pump", [variant.path("tests", "unit", "test_pump")])
    for name in TESTS:
        variant.run(name, [*pytest, f"tests/integration/{name}"], env={**os.environ, "BUILD": run})
    variant.count_reports("a race", lambda text: "WARNING: ThreadSanitizer" in text)
    variant.end()


main()
