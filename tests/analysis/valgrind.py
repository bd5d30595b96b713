#!/usr/bin/python3
"""valgrind: valgrind.py VALGRIND-BUILD.

Runs the unit tests and the fuzzers' kept inputs behind it, then a service whose server it watches while that answers the
contract's corpus (tests/corpus/contract.jsonl), web pages, MCP, streams and clients that go away, and ends in order. An
error of memory, or memory that nobody holds any more at the end, has failed. The last line is `N passed, N failed`.

The server of this build does not confine itself (unconfined.c): valgrind cannot live behind its filter. What makes and
is a worker is not here: it is confined, and Python's memory is not ours; AddressSanitizer sees it in make check-asan.
"""
import concurrent.futures
import glob
import json
import os
import re
import shutil
import socket
import sys

from variant import HERE, ROOT, Variant

sys.path += [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "tiers")]
VALGRIND = [shutil.which("valgrind") or "/usr/bin/valgrind", "--quiet", "--vgdb=no", "--error-exitcode=99", "--leak-check=full",
            "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
# They confine themselves, or what they make, and valgrind with it.
NOT_BEHIND = {"cgroup", "chroot", "confine", "credentials", "hierarchy", "keeper", "landlock", "namespaces", "probe", "rlimits", "sandbox", "scratch",
              "seccomp", "seccomp_program", "tally", "view", "witness", "witness_alone",
              "fd",  # closes every descriptor, valgrind's too
              "frame"}  # interrupts a writer each half a millisecond, in which valgrind gets nowhere; its fuzzer's inputs are there
PAGES = ["/", "/docs", "/openapi.json", "/readyz", "/healthz", "/metrics", "/isolation", "/nothing"]
MCP = [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
       {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
       {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "run_python", "arguments": {"script": "def main(): return [1]"}}}]
STREAMED = "import time\ndef main():\n    for i in range(20):\n        print(i, flush=True)\n        time.sleep(0.01)\n    return 1"


def program_tests(variant):
    """Children that tests fork are silent: what they leave behind at _exit() is lost by intent."""

    def one(path):
        name = os.path.basename(path)
        variant.run(name, [*VALGRIND, "--child-silent-after-fork=yes", f"--log-file={variant.reports}/{name}", path])

    paths = glob.glob(variant.path("tests", "unit", "test_*")) + glob.glob(variant.path("tests", "fuzz", "test_*"))
    paths = [path for path in sorted(paths) if os.path.isfile(path) and os.path.basename(path)[5:] not in NOT_BEHIND]
    assert paths, "there are no unit tests in this build: cmocka is missing"
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(one, paths))
    variant.count_reports("valgrind", lambda text: text)
    variant.forget_reports()


def go_away(port, body):
    """A client that does not wait for its answer."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def load(variant, service):
    """Every case of the contract, with what else there is between them."""
    import contract
    with open(os.path.join(ROOT, "tests", "corpus", "contract.jsonl"), encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    wrong = []
    for case in cases:
        case["expect"].pop("max_seconds", None)  # valgrind takes its time
        if why := contract.run(case, service.port):
            wrong.append(f"{case['name']}: {why}")
    variant.count(f"{len(cases)} cases of the contract", not wrong, "\n".join(wrong))
    statuses = [service.ask("GET", page).status for page in PAGES]
    accept = {"Accept": "application/json, text/event-stream"}
    statuses += [service.ask("POST", "/mcp", json.dumps(message).encode(), accept).status for message in MCP]
    statuses += [service.run(STREAMED, stream=True).status, service.run("def main(): return 1", details=True, stdin="in").status]
    for body in (json.dumps({"script": STREAMED}), json.dumps({"script": STREAMED, "stream": True}), '{"script'):
        go_away(service.port, body.encode())
    service.assert_well()
    variant.count(f"pages, MCP, streams: {statuses}", statuses.count(200) >= len(statuses) - 2 and max(statuses) < 500)


def watched_service(variant):
    options = [*VALGRIND, f"--log-file={variant.reports}/server.%p", variant.path("python-executor-server")]
    with open(os.path.join(HERE, "behind.c"), encoding="utf-8") as file:
        variant.compile(file.read(), "behind", "-DVALGRIND=" + ", ".join(json.dumps(word) for word in options))
    os.environ["BUILD"] = variant.place(server=variant.path("behind"))
    from service import Service
    service = Service("--stall-s=600", "--drain-ms=60000")
    try:
        load(variant, service)
    finally:
        service.stop()
    logs = glob.glob(os.path.join(variant.reports, "server.*"))
    variant.count("valgrind has watched one server", len(logs) == 1, str(logs))
    variant.count_reports("the server", lambda text: re.search(r"^==\d+== \S", text, re.M))


def main():
    variant = Variant(sys.argv[1])
    with open(os.path.join(HERE, "unconfined.c"), encoding="utf-8") as file:
        variant.compile(file.read(), "unconfined.o", "-c", "-fPIC")
    variant.build("-Doptimization=1", link=["-Wl,--wrap=confine_server", variant.path("unconfined.o")])
    program_tests(variant)
    watched_service(variant)
    variant.end()


main()
