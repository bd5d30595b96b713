"""POST /mcp, byte by byte: messages, ids, versions, origins, the tool's results, and clients that do not behave."""
import base64
import http.client
import json
import os
import re
import socket

import jsonschema
import pytest
from service import ROOT, Background, order, wait_until

URL = "/mcp"
FOREVER = "import time\ndef main(): time.sleep(60)"


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def message(method, params=None, **keys):
    keys = {"jsonrpc": "2.0", "id": 1, "method": method, **keys}
    return json.dumps(keys if params is None else {**keys, "params": params}).encode()


def tool_call(arguments, **keys):
    return message("tools/call", {"name": "run_python", "arguments": arguments}, **keys)


def post(service, body, **headers):
    return service.ask("POST", URL, body, {name.replace("_", "-"): value for name, value in headers.items()})


def tool(service):
    return post(service, message("tools/list")).json["result"]["tools"][0]


def call(service, script, **arguments):
    """The result of a call that was run, held to what tools/list says of it."""
    answer = post(service, tool_call({"script": script, **arguments}))
    assert answer.status == 200, answer
    assert set(answer.json) == {"jsonrpc", "id", "result"}
    result = answer.json["result"]
    jsonschema.validate(result["structuredContent"], tool(service)["outputSchema"])
    assert result["structuredContent"]["outcome"] == answer.outcome
    assert result["isError"] is (answer.outcome != "ok")
    assert re.fullmatch(r"queue;dur=[0-9.]+, run;dur=[0-9.]+, total;dur=[0-9.]+", answer.headers["server-timing"])
    return result


def assert_error(answer, status, code, words="", of=None):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"jsonrpc", "id", "error"} and answer.json["jsonrpc"] == "2.0"
    assert set(answer.json["error"]) == {"code", "message"}
    assert (answer.json["error"]["code"], answer.json["id"]) == (code, of), answer
    assert words in answer.json["error"]["message"], answer
    assert answer.outcome is None and "server-timing" not in answer.headers


# --- Transport --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD"])
def test_other_methods(service, method):
    answer = service.ask(method, URL, None, {"Accept": "text/event-stream"})
    assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("path", ["/mcp/", "/MCP", "/mcp/x", "//mcp", "/mcp%00"])
def test_other_paths(service, path):
    assert service.ask("POST", path, message("ping")).status == 404


def test_there_are_no_sessions(service):
    first = post(service, message("initialize", {"protocolVersion": "2025-11-25"}), MCP_Session_Id="x")
    assert first.status == 200 and "mcp-session-id" not in first.headers
    assert first.headers["content-type"] == "application/json"
    # Whatever the headers say that have no part in it.
    for headers in ({}, {"Accept": "text/html"}, {"Accept": "text/event-stream"}, {"Content_Type": "text/plain"}):
        answer = post(service, message("ping"), **headers)
        assert answer.body == b'{"jsonrpc": "2.0", "id": 1, "result": {}}'
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("version, status", [
    ("2025-11-25", 200), ("2025-06-18", 200), ("2025-03-26", 200), ("2024-11-05", 400), ("2026-07-28", 400), ("", 400),
    ("2025-11-25, 2025-06-18", 400), ("x" * 2000, 400),
])
def test_the_version_header(service, version, status):
    answer = post(service, message("ping"), MCP_Protocol_Version=version)
    if status == 200:
        assert answer.status == 200
    else:
        assert_error(answer, 400, -32000, "2025-11-25")
    assert service.ask("POST", "/execute", order("def main(): return 1"), {"MCP-Protocol-Version": version}).status == 200


@pytest.mark.parametrize("asked, answered", [
    ("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26"), ("2024-11-05", "2025-11-25"), ("2099-01-01", "2025-11-25"),
])
def test_versions_are_negotiated(service, asked, answered):
    params = {"protocolVersion": asked, "capabilities": {"roots": {}}, "clientInfo": {"name": "x", "version": "1"}}
    result = post(service, message("initialize", params)).json["result"]
    assert result["protocolVersion"] == answered
    assert result["capabilities"] == {"tools": {}}
    version = re.search(r"^  version: '([^']+)'", text_of("meson.build"), re.M).group(1)
    assert result["serverInfo"] == {"name": "python-executor", "version": version}
    assert "run_python" in result["instructions"]


# --- Origins ----------------------------------------------------------------------------------------

HERE = ["http://localhost", "https://localhost:6274", "http://127.0.0.1:3000", "http://[::1]:8080", "https://[::1]"]
ELSEWHERE = ["null", "", "http://evil.com", "http://localhost.evil.com", "http://localhost:80@evil.com", "http://localhost.",
             "http://127.0.0.1.evil.com", "http://LOCALHOST", "file://", "localhost", "http://localhost:8080/", "http://0.0.0.0",
             "http://[::1].evil.com", "http://xn--localhost-", "http://localhost:", "http://localhost:99999999"]


@pytest.mark.parametrize("origin", HERE)
def test_pages_of_this_machine(service, origin):
    assert post(service, message("ping"), Origin=origin).status == 200


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_pages_of_elsewhere(service, origin):
    marker = tool_call({"script": "def main(): return 'ran'"})
    answer = post(service, marker, Origin=origin)
    assert_error(answer, 403, -32000, "--origins")
    for method in ("GET", "OPTIONS", "DELETE"):
        assert service.ask(method, URL, None, {"Origin": origin}).status == 403
    assert service.ask("POST", "/execute", order("def main(): return 1"), {"Origin": origin}).status == 200


def test_origins_that_are_listed(start):
    one = start("--preload=", "--origins=https://a.example,app://b", environment={"PYTHON_EXECUTOR_ORIGINS": "https://c.example"})
    for origin in ("https://a.example", "app://b", *HERE):
        assert post(one, message("ping"), Origin=origin).status == 200
    for origin in ("https://a.example:443", "http://a.example", "https://a.example.", "https://c.example", "a.example", ",",
                   "https://a.example,app://b", "https://sub.a.example", *ELSEWHERE):
        assert post(one, message("ping"), Origin=origin).status == 403, origin


def test_a_refused_origin_with_a_large_body(service):
    assert_error(post(service, b"x" * (12 << 20), Origin="http://evil.com"), 403, -32000)


# --- Messages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", ['0', '-7', '9' * 256, '"x"', '""', '"\\ud800\\u0000\\/"', '"é😀"', '"' + "x" * 254 + '"'])
def test_ids_go_back_as_they_came(service, identity):
    answer = post(service, f'{{"jsonrpc":"2.0","id" : {identity},"method":"ping"}}'.encode())
    assert answer.status == 200
    assert answer.body == f'{{"jsonrpc": "2.0", "id": {identity}, "result": {{}}}}'.encode()
    body = f'{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"run_python","arguments":{{"script":"x=1"}}}},"id":{identity}}}'
    assert post(service, body.encode()).body.startswith(f'{{"jsonrpc": "2.0", "id": {identity}, "result"'.encode())


@pytest.mark.parametrize("identity", ["null", "true", "1.5", "1.0", "1e2", "[]", "{}", '["a"]', "9" * 257, '"' + "x" * 255 + '"', "9" * 100_000])
def test_what_is_no_id(service, identity):
    answer = post(service, f'{{"jsonrpc": "2.0", "id": {identity}, "method": "ping"}}'.encode())
    assert_error(answer, 400, -32600, "'id'")


@pytest.mark.parametrize("body", [
    b"", b"{", b"nonsense", b"{} {}", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"', b'{"id": \xff}', b"\xef\xbb\xbf{}", b"\0",
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": NaN}}', b"{'jsonrpc': '2.0'}", b'{"a": "\\x"}',
])
def test_what_is_not_json(service, body):
    assert_error(post(service, body), 400, -32700, "Parse error")


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"', b"[" + message("ping") + b"]", b"[" + message("ping") + b"," + message("ping") + b"]"])
def test_there_are_no_batches(service, body):
    assert_error(post(service, body), 400, -32600, "no batches")


@pytest.mark.parametrize("keys", [
    {"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"jsonrpc": None}, {"jsonrpc": ["2.0"]}, {"method": None}, {"method": 1}, {"method": {}},
])
def test_what_is_no_request(service, keys):
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping", **keys}
    assert_error(post(service, json.dumps(body).encode()), 400, -32600, of=1)


@pytest.mark.parametrize("method", ["", "Ping", "tools", "tools/list/", "prompts/list", "resources/list", "server/discover", "ping\0", "x" * 100_000])
def test_unknown_methods(service, method):
    assert_error(post(service, message(method)), 200, -32601, "tools/call", of=1)


@pytest.mark.parametrize("method, params", [
    ("ping", []), ("ping", 1), ("tools/list", "x"), ("tools/list", {"cursor": "1"}), ("initialize", {}), ("initialize", {"protocolVersion": 1}),
    ("tools/call", {}), ("tools/call", {"name": 1}), ("tools/call", {"name": "run_ruby"}), ("tools/call", {"name": "Run_python"}),
    ("tools/call", {"name": "run_python", "arguments": []}), ("tools/call", {"name": "run_python", "arguments": None}),
    ("tools/call", {"name": "run_python", "arguments": "{}"}), ("tools/call", {"arguments": {"script": "x = 1"}}),
])
def test_wrong_params(service, method, params):
    assert_error(post(service, message(method, params)), 200, -32602, of=1)


def test_null_params(service):
    assert_error(post(service, b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": null}'), 200, -32602, of=1)


@pytest.mark.parametrize("body", [
    b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
    b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}',
    b'{"jsonrpc": "2.0", "method": "unheard/of", "params": []}',
    b'{"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "run_python", "arguments": {"script": "def main(): return 1"}}}',
    b'{"jsonrpc": "2.0", "id": 1, "result": {}}',
    b'{"jsonrpc": "2.0", "id": "x", "error": {"code": 1, "message": ""}}',
])
def test_what_is_taken_without_an_answer(service, body):
    answer = post(service, body)
    assert answer.status == 202 and answer.body == b"" and "content-type" not in answer.headers
    assert answer.outcome is None


def test_of_duplicate_keys_the_last_wins(service):
    answer = post(service, b'{"jsonrpc": "1.0", "id": {}, "method": "x", "params": [], "jsonrpc": "2.0", "id": 5, "method": "tools/call", '
                           b'"params": {"name": 1, "arguments": 2, "name": "run_\\u0070ython", "arguments": {"script": 1, "script": "def main(): return 3"}}}')
    assert answer.json["id"] == 5 and answer.json["result"]["structuredContent"]["result"] == 3


# --- Bounds -----------------------------------------------------------------------------------------


def test_arguments_may_be_as_deep_as_a_body_of_execute(service):
    for depth, good in ((63, True), (64, False)):
        nested = "[" * depth + "]" * depth
        body = '{"script": "def main(x): return 1", "input": %s}' % nested
        assert service.post(body.encode()).status == (200 if good else 400)
        answer = post(service, b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run_python", "arguments": %s}}' % body.encode())
        if good:
            assert answer.json["result"]["isError"] is False
        else:
            assert_error(answer, 400, -32700, "nested too deeply")
    assert_error(post(service, b'{"a": ' + b"[" * 1_000_000), 400, -32700, "nested too deeply")


def test_other_params_may_not_carry_what_arguments_may_not(service):
    nested = b"[" * 66 + b"]" * 66
    assert_error(post(service, b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": %s}}' % nested), 400, -32700)


def test_too_large(service):
    answer = post(service, b" " * ((16 << 20) + 1))
    assert_error(answer, 413, -32000, "16777216")
    script = post(service, tool_call({"script": "#" * ((1 << 20) + 1)}))
    assert script.status == 200 and script.json["result"]["isError"] is True
    assert script.json["result"]["content"][0]["text"].startswith("Script is too large")
    service.assert_well()


@pytest.mark.parametrize("header", ["Content-Length: 999999999999", "Content-Length: 33554432\r\nExpect: 100-continue"])
def test_what_is_announced_too_large(service, header):
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
        answer = connection.recv(65536)
        while b"}}" not in answer:
            answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ") and b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32000' in answer


# --- The tool ---------------------------------------------------------------------------------------


def test_results(service):
    result = call(service, "def main(): return {'a': 2 ** 70, 'b': '\\ud800'}")
    assert result["content"] == [{"type": "text", "text": 'Result: {"a": 1180591620717411303424, "b": "\\ud800"}'}]
    assert result["structuredContent"]["result"] == {"a": 2**70, "b": "\ud800"}


def test_what_was_printed(service):
    script = "import sys\ndef main():\n print('out'); print('err', file=sys.stderr)\n return None"
    result = call(service, script)
    assert [item["text"] for item in result["content"]] == ["Result: null\n\nstdout:\nout\n\n\nstderr:\nerr\n"]
    cut = call(service, "def main(): print('é' * 1000)", limits={"output_kb": 1})
    assert cut["content"][0]["text"] == "Result: null\n\nstdout, the first 1 KiB:\n" + "é" * 512
    odd = call(service, "import os\ndef main(): return os.write(1, b'a\\xff\\0\"')")
    assert odd["content"][0]["text"] == 'Result: 4\n\nstdout:\na\ufffd\0"'


@pytest.mark.parametrize("script, outcome, text", [
    ("x = 1", "no_main", "Error: Function 'main()' not found in script."),
    ("def main(): return {1}", "not_serializable", "Error: Result is not JSON-serializable: set at result"),
    ("def main():\n while True: pass", "timeout", "Error: Execution failed (timeout)"),
    ("import os\ndef main():\n os._exit(3)", "exited", "Error: Execution failed (exited)"),
    ("import os\ndef main():\n os.abort()", "killed", "Error: Execution failed (killed)"),
    ("def main(): return 'x' * 9_000_000", "output_limit", "Error: Result is too large: "),
    ("def main(): return 1 / 0", "exception", 'Traceback (most recent call last):\n  File "<string>", line 1, in main\n'),
    ("def main(", "exception", 'Traceback (most recent call last):\n  File "<string>", line 1\n'),
])
def test_errors_of_the_script(service, script, outcome, text):
    result = call(service, script, limits={"wall_ms": 1000})
    assert result["structuredContent"]["outcome"] == outcome
    assert len(result["content"]) == 1 and result["content"][0]["text"].startswith(text), result["content"]


@pytest.mark.parametrize("arguments", [{}, {"script": 1}, {"script": None}, {"script": "", "limits": {"x": 1}}, {"script": "", "seed": -1},
                                       {"script": "", "input": 1, "args": []}, {"script": "\ud800"}, {"script": "", "details": 1}])
def test_errors_of_the_arguments(service, arguments):
    """In the words of POST /execute; the model can put them right, so they are results."""
    answer = post(service, tool_call(arguments))
    error = service.post(json.dumps(arguments).encode()).error
    assert answer.status == 200 and answer.outcome is None
    assert answer.json["result"] == {"content": [{"type": "text", "text": error}], "isError": True}


def test_details_are_forced(service):
    for details in (False, True):
        assert "usage" in call(service, "def main(): return 1", details=details)["structuredContent"]


def test_structured_content_is_what_execute_answers(service):
    script = "import sys\ndef main(a):\n print('o'); print('e', file=sys.stderr); open('f.txt', 'w').write('x')\n return a"
    arguments = {"args": [[1, None, "é"]], "outputs": ["*"], "files": {"g": {"base64": "AAA="}}}
    told = service.run(script, details=True, **arguments).json
    content = call(service, script, **arguments)["structuredContent"]
    del told["usage"], content["usage"]
    assert content == told


def test_images(service):
    kinds = {"a.png": "image/png", "b.jpg": "image/jpeg", "c.gif": "image/gif", "d.webp": "image/webp"}
    script = f"def main():\n for name in {[*kinds, 'e.svg', 'f.txt', 'g.png']!r}:\n  open(name, 'w').write('' if name == 'g.png' else name)"
    result = call(service, script, outputs=["*"])
    assert result["content"][1:] == [{"type": "image", "data": base64.b64encode(name.encode()).decode(), "mimeType": kind}
                                     for name, kind in kinds.items()]
    outputs = {one["name"]: one for one in result["structuredContent"]["outputs"]}
    for number, name in enumerate(kinds, 1):
        assert outputs[name] == {"name": name, "size": len(name), "media_type": kinds[name], "content": number}
    for name in ("e.svg", "f.txt", "g.png"):
        assert set(outputs[name]) == {"name", "size", "media_type", "base64"}


def test_an_image_that_does_not_fit_is_none(service):
    result = call(service, "def main(): open('a.png', 'wb').truncate(5 << 20)", outputs=["*"])
    assert len(result["content"]) == 1
    assert result["structuredContent"]["outputs"] == [{"name": "a.png", "size": 5 << 20, "media_type": "image/png", "truncated": True}]
    assert result["structuredContent"]["outputs_truncated"] is True


def test_large_results_and_outputs(service):
    script = "def main():\n open('a.png', 'wb').write(b'x' * 2_000_000)\n print('y' * 900_000)\n return '\"' * 3_000_000"
    result = call(service, script, outputs=["*"])
    assert result["structuredContent"]["result"] == '"' * 3_000_000
    assert result["content"][0]["text"] == 'Result: "' + '\\"' * 3_000_000 + '"\n\nstdout:\n' + "y" * 900_000 + "\n"
    assert base64.b64decode(result["content"][1]["data"]) == b"x" * 2_000_000


# --- Under load -------------------------------------------------------------------------------------


def test_a_full_queue(start):
    one = start("--preload=", "--workers=1", "--queue=0")
    running = Background(one.run, "import time\ndef main(): time.sleep(2)")
    one.wait_for_busy(1)
    refused = post(one, tool_call({"script": "def main(): return 1"}, id="q"))
    assert_error(refused, 503, -32000, "queue is full", of="q")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert post(one, message("tools/list")).status == 200  # which needs no place
    assert running.get().status == 200


def test_a_wait_that_takes_too_long(start):
    one = start("--preload=", "--workers=1", "--queue-ms=300")
    running = Background(one.run, "import time\ndef main(): time.sleep(2)")
    one.wait_for_busy(1)
    refused = post(one, tool_call({"script": "def main(): return 1"}, id=8))
    assert_error(refused, 503, -32000, "no worker was free", of=8)
    assert "retry-after" in refused.headers
    assert running.get().status == 200


def test_a_run_ends_when_its_client_goes(start):
    one = start("--preload=", "--wall-ms=60000", "--cpu-ms=60000")
    body = tool_call({"script": FOREVER})
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        one.wait_for_busy(1)
    assert wait_until(lambda: not one.busy_pids(), 10), "the run goes on without its client"
    one.assert_well()


def test_one_connection_for_everything(service):
    """The id of one request is not another's."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    for body, path, words in [
        (tool_call({"script": "def main(): return 5"}, id="first"), "/mcp", b'"id": "first"'),
        (b"{", "/mcp", b'"id": null'),
        (message("nowhere", id=2), "/mcp", b'"id": 2, "error"'),
        (order("def main(): return 6"), "/execute", b'{"result": 6, "stdout": ""}'),
        (b"[]", "/execute", b'{"error": "Invalid input: '),
        (message("ping", id=3), "/mcp", b'"id": 3, "result": {}'),
    ]:
        connection.request("POST", path, body)
        assert words in connection.getresponse().read()
    connection.close()


# --- tools/list is true -----------------------------------------------------------------------------

TOOL = json.loads(text_of("openapi", "tool.json"))
SCHEMAS = json.loads(text_of("openapi", "openapi.json"))["components"]["schemas"]
FORCED = {"details", "stream"}  # arguments that would change nothing


def bare(schema):
    """Without its words."""
    if isinstance(schema, dict):
        return {key: bare(value) for key, value in schema.items() if key != "description"}
    return [bare(value) for value in schema] if isinstance(schema, list) else schema


def test_the_numbers_are_those_of_the_configuration(start):
    told = tool(start("--preload=", "--wall-ms=1234", "--max-wall-ms=2345", "--memory-mb=99", "--outputs-kb=77", "--result-kb=55"))
    assert "Limits: 1234 ms of time, 5000 ms of CPU time, 99 MiB of memory, 1024 KiB of printed text, 55 KiB of result, " \
           "64 MiB in /tmp, 77 KiB of outputs." in told["description"]
    limits = told["inputSchema"]["properties"]["limits"]["properties"]
    assert limits["wall_ms"]["description"].endswith("at most 2345.")
    assert limits["memory_mb"]["description"].endswith("at most 99.")
    assert "{{" not in json.dumps(told)


def test_tools_list_is_the_file_but_for_the_numbers(service):
    def steady(text):
        return re.sub(r"\{\{\w+\}\}|\d+", "", json.dumps(text))

    told = post(service, message("tools/list", {})).json["result"]
    assert set(told) == {"tools"} and len(told["tools"]) == 1
    assert steady(told["tools"][0]) == steady(TOOL)
    for schema in ("inputSchema", "outputSchema"):
        jsonschema.Draft202012Validator.check_schema(told["tools"][0][schema])
        jsonschema.Draft7Validator.check_schema(told["tools"][0][schema])


def test_the_arguments_are_the_keys_of_a_request():
    known = set(re.findall(r'^    \[FIELD_\w+\] = \{"(\w+)"', text_of("src", "server", "request.c"), re.M))
    assert set(TOOL["inputSchema"]["properties"]) == known - FORCED
    assert set(TOOL["inputSchema"]["properties"]) == set(SCHEMAS["ExecuteRequest"]["properties"]) - FORCED
    for key, schema in TOOL["inputSchema"]["properties"].items():
        if key not in ("limits", "files"):  # the same in other words
            assert bare(schema) == bare(SCHEMAS["ExecuteRequest"]["properties"][key]), key
    limits = TOOL["inputSchema"]["properties"]["limits"]
    assert bare(limits["properties"]) == bare(SCHEMAS["RequestLimits"]["properties"])
    assert limits["additionalProperties"] is SCHEMAS["RequestLimits"]["additionalProperties"] is False


@pytest.mark.parametrize("good, files", [
    (True, {}), (True, {"a": {"text": ""}}), (True, {"a": {"base64": "AA=="}, "b": {"text": "x"}}), (True, None),
    (False, {"a": {}}), (False, {"a": {"text": "", "base64": ""}}), (False, {"a": {"x": ""}}), (False, {"a": {"text": 1}}), (False, {"a": "x"}), (False, []),
])
def test_files_are_those_of_a_request(service, good, files):
    arguments = {"script": "def main(): return 1", "files": files}
    assert jsonschema.Draft202012Validator(TOOL["inputSchema"]).is_valid(arguments) is good
    assert post(service, tool_call(arguments)).json["result"]["isError"] is not good


def test_the_output_is_what_execute_answers():
    properties = TOOL["outputSchema"]["properties"]
    known = set().union(*[SCHEMAS[name]["properties"] for name in ("Details", "DetailedResult", "DetailedError", "DetailedFailure")])
    assert set(properties) == known
    assert sorted(TOOL["outputSchema"]["required"]) == sorted(SCHEMAS["Details"]["required"])
    assert properties["outcome"]["enum"] == SCHEMAS["Outcome"]["enum"]
    for key, name in (("usage", "Usage"), ("limits", "Limits")):
        assert {word: one["type"] for word, one in properties[key]["properties"].items()} == {
            word: one["type"] for word, one in SCHEMAS[name]["properties"].items()}
