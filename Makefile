# The front door: everything below is done by Meson, apt and tests/run.py.
#
#   make run     install what is missing, build, serve on $PORT (8080)
#   make test    install what is missing, build, run every test
#   make build   build into build/
#   make bench   measure this build beside a python3 started for each request
#   make clean   remove the build folders

.PHONY: run test build bench clean packages test-packages sanitize

run: packages build
	@exec build/python-executor serve

test: packages test-packages build
	@/usr/bin/python3 tests/run.py build

# The same tests against a build with AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: packages test-packages
	@tools/build build-sanitize -Db_sanitize=address,undefined -Db_lundef=false
	@/usr/bin/python3 tests/run.py build-sanitize

build:
	@tools/build build

bench: packages test-packages build
	@/usr/bin/python3 bench/bench.py build

packages:
	@tools/packages run

test-packages:
	@tools/packages test

clean:
	rm -rf build build-*
