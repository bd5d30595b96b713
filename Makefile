# The front door: everything below is done by Meson, apt, tests/run.py and tests/tiers/run.py.
#
#   make run     install what is missing, build, serve on $PORT (8080)
#   make test    install what is missing, build, run every test
#   make test-security [TIERS="user gvisor"]
#                run the contract and attack corpora on every platform, or on some: see tests/tiers
#   make build   build into build/
#   make bench   measure this build beside a python3 started for each request
#   make clean   remove the build folders

.PHONY: run test test-security build bench clean packages test-packages security-packages sanitize

run: packages build
	@exec build/python-executor serve

# build-weak is for tests/security/test_depth.py alone: layers can be switched off in it.
test: packages test-packages build
	@tools/build build-weak -Dlayers_off=true
	@/usr/bin/python3 tests/run.py build

test-security: packages security-packages build
	@/usr/bin/python3 tests/tiers/run.py build $(TIERS)

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

security-packages:
	@tools/packages security

clean:
	rm -rf build build-*
