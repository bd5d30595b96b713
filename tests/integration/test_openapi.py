"""GET /openapi.json: a valid document, that the service keeps to the letter, and that knows all that the code knows.

Debian 12 has no validator of OpenAPI 3.1. Its schemas are held to JSON Schema 2020-12, its dialect, with
python3-jsonschema; the frame around them by the few rules of OpenAPI it makes use of.
"""
import json
import os
import re
import signal

import jsonschema
import pytest
from service import ROOT, Background, needs_poverty, unsanitized
from streaming import EVENT

METHODS = {"get", "head", "options", "post"}
OTHERS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


DOCUMENT = json.loads(text_of("openapi", "openapi.json"))
SCHEMAS = DOCUMENT["components"]["schemas"]
EXECUTE = DOCUMENT["paths"]["/execute"]["post"]
REQUEST = EXECUTE["requestBody"]["content"]["application/json"]
RESOLVER = jsonschema.RefResolver("", DOCUMENT)


def follow(value):
    return RESOLVER.resolve(value["$ref"])[1] if "$ref" in value else value


def validate(value, schema):
    jsonschema.Draft202012Validator(schema, resolver=RESOLVER).validate(value)


def is_valid(value, schema):
    return jsonschema.Draft202012Validator(schema, resolver=RESOLVER).is_valid(value)


def check_headers(answer, documented):
    """Each that is documented and there is as documented, and each that is there is documented."""
    plain = {"date", "content-type", "content-length", "connection", "transfer-encoding"}
    assert set(answer.headers) - plain <= {name.lower() for name in documented}, answer.headers
    for name, header in documented.items():
        header, value = follow(header), answer.headers.get(name.lower())
        assert value is not None or not header.get("required"), f"{name} is missing"
        if value is not None:
            validate(int(value) if header["schema"].get("type") == "integer" else value, header["schema"])


def check(answer, response):
    """An answer against its documented response: headers and body."""
    response = follow(response)
    check_headers(answer, response.get("headers", {}))
    assert ("execution-outcome" in answer.headers) == ("server-timing" in answer.headers)
    if "content" not in response:
        assert answer.body == b"" and (answer.status in (200, 304) or "content-type" not in answer.headers)
        return None
    kind = answer.headers["content-type"]
    if kind != "application/json":
        validate(answer.body.decode(), response["content"][kind]["schema"])
        return None
    validate(answer.json, response["content"]["application/json"]["schema"])
    if "outcome" in answer.json:
        assert answer.json["outcome"] == answer.outcome
    return answer.json


def check_run(answer):
    if answer.status == 200:
        assert answer.outcome == "ok" and "cache-control" not in answer.headers
    return check(answer, EXECUTE["responses"][str(answer.status)])


def check_data(events):
    """The JSON in an event's data, against the schema that the event's own names; the last one, which is the result."""
    for event in events:
        kind = follow({"$ref": "#/components/schemas/" + ("ResultEvent" if event["event"] == "result" else "PrintedEvent")})
        found = json.loads(event["data"])
        validate(found, kind["properties"]["data"]["contentSchema"])
    assert events[-1]["event"] == "result"
    return found


def check_stream(answer):
    """The events, and the object in the last of them."""
    response = EXECUTE["responses"]["200"]
    assert answer.status == 200 and answer.headers["content-type"] == "text/event-stream"
    check_headers(answer, response["headers"])
    assert {"cache-control", "x-accel-buffering"} <= set(answer.headers) and not {"execution-outcome", "server-timing"} & set(answer.headers)
    events = [{"event": match[1].decode(), "data": match[2].decode()} for match in EVENT.finditer(answer.body)]
    validate(events, response["content"]["text/event-stream"]["schema"])
    return events, check_data(events)


# --- It is valid ------------------------------------------------------------------------------------


def nodes(value, path=()):
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key not in ("value", "example"):
            yield from nodes(item, path + (key,))


def operations():
    return [(path, method, item) for path, found in DOCUMENT["paths"].items() for method, item in found.items()
            if method not in ("description", "parameters")]


def test_the_schemas_are_valid():
    found = list(SCHEMAS.values()) + [node["schema"] for _, node in nodes(DOCUMENT)
                                      if isinstance(node, dict) and isinstance(node.get("schema"), dict)]
    assert len(found) > 20
    for schema in found:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_frame_is_valid():
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert set(DOCUMENT) == {"openapi", "info", "servers", "paths", "security", "components"}
    assert set(DOCUMENT["info"]) == {"title", "version", "license", "summary", "description"}
    assert set(DOCUMENT["components"]) == {"schemas", "headers", "responses", "securitySchemes"}
    assert all(set(one) <= set(DOCUMENT["components"]["securitySchemes"]) for one in DOCUMENT["security"])
    names = [item["operationId"] for _, _, item in operations()]
    assert len(set(names)) == len(names)
    for path, method, item in operations():
        assert path.startswith("/") and method in METHODS
        assert set(item) - {"requestBody"} == {"operationId", "summary", "responses"}
        for parameter in DOCUMENT["paths"][path].get("parameters", []):
            assert "{%s}" % parameter["name"] in path and set(parameter) == {"name", "in", "required", "description", "schema"}
        for status, response in item["responses"].items():
            response = follow(response)
            assert re.fullmatch("[1-5][0-9][0-9]", status) and response["description"]
            assert set(response) <= {"description", "headers", "content"}
            for header in response.get("headers", {}).values():
                assert set(follow(header)) <= {"description", "required", "schema"}
            for media in response.get("content", {}).values():
                assert set(media) <= {"schema", "examples"}


def test_references_lead_somewhere_and_nothing_is_idle():
    used = {node["$ref"] for _, node in nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    for reference in used:
        follow({"$ref": reference})
    parts = {f"#/components/{kind}/{name}" for kind, found in DOCUMENT["components"].items() for name in found
             if kind != "securitySchemes"}
    assert used == parts


def test_examples_are_valid():
    for _, node in nodes(DOCUMENT):
        if isinstance(node, dict) and "examples" in node:
            for name, example in node["examples"].items():
                if name != "no_script":
                    validate(example["value"], node["schema"])


def test_its_version_is_the_projects():
    assert DOCUMENT["info"]["version"] == re.search(r"^  version: '([^']+)'", text_of("meson.build"), re.M).group(1)


def test_bodies_are_closed():
    optional = {"RequestLimits", "ExceptionMember", "Layer", "File", "Output", "StreamedResult"}
    asked_for = {"outputs", "outputs_truncated"}
    for name, schema in SCHEMAS.items():
        if schema.get("type") == "object" and name not in ("ExecuteRequest", "Details", "McpMessage"):
            assert False in (schema.get("additionalProperties"), schema.get("unevaluatedProperties")), name
            if "allOf" not in schema and name not in optional:
                assert schema["required"] == [key for key in schema["properties"] if key not in asked_for], name
    assert SCHEMAS["Details"]["required"] == list(SCHEMAS["Details"]["properties"])


# --- The service keeps to it ------------------------------------------------------------------------


def place(path):
    """One of those that a path with a parameter stands for."""
    return path.replace("{name}", "editor.js")


@pytest.mark.parametrize("path", [path for path, routes in DOCUMENT["paths"].items() if "get" in routes])
def test_what_is_read(service, path):
    routes, path = DOCUMENT["paths"][path], place(path)
    service.wait_for_ready()
    answer = service.ask("GET", path)
    assert answer.status == 200
    check(answer, routes["get"]["responses"]["200"])
    if path == "/openapi.json":
        assert answer.body == text_of("openapi", "openapi.json").encode()
    head = service.ask("HEAD", path)
    assert head.status == 200 and (path == "/metrics" or head.headers["content-length"] == str(len(answer.body)))
    check(head, routes["head"]["responses"]["200"])
    if "etag" in answer.headers:
        same = service.ask("GET", path, headers={"If-None-Match": answer.headers["etag"]})
        assert same.status == 304
        check(same, routes["get"]["responses"]["304"])


@pytest.mark.parametrize("path", list(DOCUMENT["paths"]))
def test_methods(service, path):
    routes, path = DOCUMENT["paths"][path], place(path)
    answer = service.ask("OPTIONS", path)
    assert answer.status == 204
    check(answer, routes["options"]["responses"]["204"])
    allowed = {name.upper() for name in routes} & {"GET", "HEAD", "POST", "OPTIONS"}
    assert set(answer.headers["allow"].split(", ")) == allowed
    for method in set(OTHERS) - allowed - {"HEAD"}:
        refused = service.ask(method, path)
        assert refused.status == 405 and refused.headers["allow"] == answer.headers["allow"]
        first = routes.get("post", routes.get("get"))
        assert check(refused, first["responses"]["405"])["error"] in [
            example["value"]["error"] for example in follow(first["responses"]["405"])["content"]["application/json"]["examples"].values()]


@pytest.mark.parametrize("path", ["/page", "/openapi", "/openapi.json/", "/Openapi.json", "/openapi.yaml"])
def test_elsewhere(service, path):
    for method in set(OTHERS) - {"HEAD"}:
        answer = service.ask(method, path)
        assert answer.status == 404
        check(answer, EXECUTE["responses"]["404"])


def steady(body):
    """Without what is measured."""
    return {key: value for key, value in body.items() if key != "usage"}


@pytest.mark.parametrize("name", list(REQUEST["examples"]))
def test_examples(service, name):
    request = REQUEST["examples"][name]["value"]
    answer = service.post(json.dumps(request).encode())
    if request.get("stream"):
        assert check_stream(answer)[0] == EXECUTE["responses"]["200"]["content"]["text/event-stream"]["examples"][name]["value"]
        return
    body = check_run(answer)
    told = EXECUTE["responses"][str(answer.status)]["content"]["application/json"]["examples"][name]["value"]
    assert steady(body) == steady(told)


def test_every_example_of_an_answer_has_its_request():
    told = [name for status in ("200", "400", "500") for media in EXECUTE["responses"][status]["content"].values()
            for name in media["examples"]]
    assert sorted(told) == sorted(REQUEST["examples"])


RUNS = {
    "ok": "def main(): return [2 ** 99, None]",
    "no_main": "print('x')",
    "exception": "def main():\n    try: 1 / 0\n    except ZeroDivisionError as e:\n        e.add_note('n')\n"
                 "        raise ExceptionGroup('g', [e, ExceptionGroup('h', [KeyError(1)])])",
    "not_serializable": "def main(): return {1}",
    "output_limit": "def main(): return 'x' * 9_000_000",
    "timeout": "def main():\n while True: pass",
    "memory": "def main(): raise MemoryError",
    "killed": "import os\ndef main(): os.abort()",
    "exited": "import os\ndef main(): os._exit(3)",
}
ELSEWHERE = {"scratch_limit", "thread_limit", "lost", "cancelled"}  # the tests below; nobody sees a cancelled one


@pytest.mark.parametrize("outcome", list(RUNS))
def test_outcomes(service, outcome):
    for details in (False, True):
        answer = service.run(RUNS[outcome], details=details, limits={"wall_ms": 700})
        assert answer.outcome == outcome, answer
        body = check_run(answer)
        assert ("usage" in body) is details
        assert ("exception" in body) is (details and outcome in ("exception", "memory"))


@pytest.mark.parametrize("outcome", list(RUNS))
def test_streamed_outcomes(service, outcome):
    for details in (False, True):
        keys = {"details": details, "limits": {"wall_ms": 700}}
        plain = service.run(RUNS[outcome], **keys)
        events, result = check_stream(service.run(RUNS[outcome], stream=True, **keys))
        assert (result["status"], result["outcome"], "usage" in result) == (plain.status, outcome, details)
        assert set(result) - {"status", "outcome"} == set(plain.json) - {"stdout", "stderr", "outcome"}
        assert "".join(json.loads(event["data"])["text"] for event in events[:-1]) == ("x\n" if outcome == "no_main" else "")


def test_streamed_flags_and_outputs(service):
    for details in (False, True):
        _, result = check_stream(service.run("import sys\ndef main(): print('x' * 3000); print('x' * 99999, file=sys.stderr)", stream=True,
                                             details=details, limits={"output_kb": 1}, outputs=["*"]))
        assert result["stdout_truncated"] is True and result["stderr_truncated"] is True and result["outputs"] == []


def test_a_stream_that_waits_too_long(start):
    one = start("--preload=", "--workers=1", "--queue-ms=300")
    running = Background(one.run, "import time\ndef main(): time.sleep(1.5)")
    one.wait_for_busy(1)
    for details in (False, True):
        assert check_stream(one.run("x = 1", stream=True, details=details, outputs=["*"]))[1]["status"] == 503
    assert running.get().status == 200


@pytest.mark.parametrize("data", [
    "{}", '{"status": 200, "outcome": "ok"}', '{"status": 200, "outcome": "ok", "error": "x"}', '{"status": 400, "outcome": "ok", "result": 1}',
    '{"status": 500, "outcome": "exception", "error": "x"}', '{"status": 503, "outcome": "lost", "error": "x"}',
    '{"status": 200, "outcome": "ok", "result": 1, "stdout": ""}', '{"status": 200, "outcome": "ok", "result": 1, "usage": {}}',
])
def test_what_is_no_result_of_a_stream(data):
    with pytest.raises(jsonschema.ValidationError):
        check_data([{"event": "result", "data": data}])


FILES = """
def main():
    open('out.txt', 'w').write(open('in.txt').read()); open('large', 'wb').truncate(5 << 20)
    return {}
"""


@pytest.mark.parametrize("end", ["1", "1 / 0", "{1}"])
def test_files(service, end):
    for details in (False, True):
        answer = service.run(FILES.format(end), details=details, files={"in.txt": {"text": "x"}}, outputs=["*"])
        outputs = check_run(answer)["outputs"]
        assert [(one["name"], "base64" in one, "truncated" in one) for one in outputs] == [
            ("in.txt", True, False), ("large", False, True), ("out.txt", True, False)]


@unsanitized
def test_killed_for_memory(service):
    answer = service.run("def main():\n    x = []\n    while True: x.append(bytearray(b'x') * (8 << 20))", details=True)
    assert answer.outcome == "memory"
    check_run(answer)


@needs_poverty
@pytest.mark.parametrize("outcome, script", [
    ("scratch_limit", "import time\ndef main():\n    for i in range(400): open(f'/tmp/{i}', 'wb').close()\n    time.sleep(4)"),
    ("thread_limit", "import threading, time\ndef main():\n    for _ in range(40):\n"
                     "        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n    time.sleep(1)"),
])
def test_outcomes_of_a_poor_platform(start, outcome, script):
    one = start("--preload=", "--scratch-files=100", "--threads=20", poor=True)
    for details in (False, True):
        answer = one.run(script, details=details)
        assert answer.outcome == outcome, answer
        check_run(answer)
    check(one.ask("GET", "/isolation"), DOCUMENT["paths"]["/isolation"]["get"]["responses"]["200"])


def test_lost(start):
    one = start("--preload=")
    running = Background(one.run, "import time\ndef main(): time.sleep(4)", details=True)
    one.wait_for_busy(1)
    os.kill(one.zygote_pid, signal.SIGKILL)
    answer = running.get()
    assert answer.outcome == "lost"
    check_run(answer)


def test_too_large_and_too_busy(start):
    one = start("--preload=", "--workers=1", "--queue=0", "--body-kb=2", "--script-kb=1")
    for size in (1500, 3000):
        answer = one.run("#" * size)
        assert answer.status == 413
        check_run(answer)
    running = Background(one.run, "import time\ndef main(): time.sleep(2)")
    one.wait_for_busy(1)
    answer = one.run("x = 1")
    assert answer.status == 503
    check_run(answer)
    assert running.get().status == 200


@pytest.mark.parametrize("keys", [
    {"script": 1}, {"details": None}, {"details": 1}, {"convert": None}, {"stream": None}, {"stream": 0}, {"args": {}}, {"kwargs": []}, {"stdin": 1}, {"seed": -1},
    {"seed": 2**63}, {"seed": 1.5}, {"limits": []}, {"limits": {"x": 1}}, {"limits": {"wall_ms": 0}}, {"limits": {"cpu_ms": 0}},
    {"limits": {"memory_mb": 15}}, {"limits": {"output_kb": 0}}, {"limits": {"scratch_mb": 0}}, {"input": 1, "args": []}, {"input": 1, "kwargs": {}},
])
def test_what_the_schema_refuses_the_service_refuses(service, keys):
    body = {"script": "def main(*a, **k): return 1", **keys}
    assert not is_valid(body, REQUEST["schema"])
    answer = service.post(json.dumps(body).encode())
    assert answer.status == 400 and answer.outcome is None
    check_run(answer)


@pytest.mark.parametrize("keys", [
    {}, {"unknown": 1}, {"stream": False}, {"input": None, "args": []}, {"input": 1, "args": None}, {"limits": None}, {"limits": {"wall_ms": None}},
    {"seed": 2**63 - 1}, {"stdin": None}, {"limits": {"wall_ms": 5000, "cpu_ms": 1000, "memory_mb": 16, "output_kb": 1, "scratch_mb": 1}},
])
def test_what_the_schema_takes_the_service_takes(service, keys):
    body = {"script": "def main(*a, **k): return 1", **keys}
    validate(body, REQUEST["schema"])
    assert check_run(service.post(json.dumps(body).encode()))["result"] == 1


MCP = DOCUMENT["paths"]["/mcp"]["post"]
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.mark.parametrize("status, message, headers", [
    (200, PING, {}),
    (200, MCP["requestBody"]["content"]["application/json"]["examples"]["call"]["value"], {}),
    (200, {**PING, "method": "tools/call", "params": {"name": "x"}}, {}),
    (202, MCP["requestBody"]["content"]["application/json"]["examples"]["notification"]["value"], {}),
    (400, {**PING, "jsonrpc": "1.0"}, {}),
    (400, [PING], {}),
    (403, PING, {"Origin": "https://example.com"}),
    (413, {**PING, "params": {"x": "x" * (16 << 20)}}, {}),
])
def test_mcp(service, status, message, headers):
    answer = service.ask("POST", "/mcp", json.dumps(message), headers)
    assert answer.status == status
    check(answer, MCP["responses"][str(status)])


# --- It knows what the code knows -------------------------------------------------------------------


def found_in(path, pattern):
    found = re.findall(pattern, text_of("src", *path.split("/")), re.M)
    assert found, f"{path} has changed, and this test does not see it any more"
    return set(found)


def members_in(function):
    """The keys that a function of response.c writes."""
    body = re.search(rf"^(?:static )?int {function}\(.*?^}}", text_of("src", "server", "response.c"), re.M | re.S).group(0)
    return set(re.findall(r'\\"(\w+)\\": ', body))


LAYERS = r'^    \[LAYER_(?!REFUSED|ACTIVE|UNUSED)\w+\] = "([\w-]+)"'
ERRORS = SCHEMAS["OutcomeOfError"]["enum"]
FAILURES = SCHEMAS["OutcomeOfFailure"]["enum"]


def test_request_keys():
    assert set(SCHEMAS["ExecuteRequest"]["properties"]) == found_in("server/request.c", r'^    \[FIELD_\w+\] = \{"(\w+)"')
    assert len(SCHEMAS["ExecuteRequest"]["properties"]) == len(found_in("server/request.c", r"^    (FIELD_(?!COUNT)\w+),?$"))


def test_request_limits():
    assert set(SCHEMAS["RequestLimits"]["properties"]) == found_in("base/config.c", r'^    \[LIMIT_\w+\] = LIMIT\("(\w+)"')


def test_outcomes_are_those_of_the_code():
    names = found_in("base/outcome.c", r'return "(\w+)";')
    assert set(SCHEMAS["Outcome"]["enum"]) == names == {"ok", *ERRORS, *FAILURES}
    assert names == set(RUNS) | ELSEWHERE


def test_codes_of_the_protocol():
    codes = {int(code) for code in found_in("server/mcp.h", r"^    MCP_\w+ = (-\d+),$")}
    assert set(SCHEMAS["McpError"]["properties"]["error"]["properties"]["code"]["enum"]) == codes


def test_layers():
    words = found_in("base/layer.c", LAYERS)
    assert set(SCHEMAS["RequiredLayer"]["enum"]) == words
    assert set(SCHEMAS["LayerName"]["enum"]) == words - found_in("base/layer.c", r'^    \[LAYER_ANY_\w+\] = "([\w-]+)"')
    properties = SCHEMAS["Layer"]["properties"]
    assert set(properties["status"]["enum"]) == found_in("base/layer.c", r'\[LAYER_(?:REFUSED|ACTIVE|UNUSED)\] = "(\w+)"')
    tiers = re.search(r"^const char \*layer_tier.*?^}", text_of("src", "base", "layer.c"), re.M | re.S).group(0)
    assert set(SCHEMAS["Isolation"]["properties"]["tier"]["enum"]) == set(re.findall(r'"([^"]+)"', tiers))


def test_members_of_details():
    assert set(SCHEMAS["Usage"]["properties"]) == members_in("add_usage") - {"usage"}
    assert set(SCHEMAS["Limits"]["properties"]) == members_in("add_limits") - {"limits"}
    written = members_in("add_details") | {"usage", "limits"}
    assert set(SCHEMAS["Details"]["properties"]) == written
    assert members_in("add_exception") == {"exception"}
    assert members_in("response_add_job") | members_in("add_result") == {"result", "stdout", "error"}


def test_members_of_a_streams_result():
    flags = found_in("server/response.c", r'add_flag\(body, job, "(\w+)"')
    assert set(SCHEMAS["StreamedResult"]["properties"]) == (
        members_in("add_event") | members_in("add_result") | members_in("add_outputs") | flags | {"usage", "limits"} | members_in("add_exception"))
    assert set(SCHEMAS["PrintedEvent"]["properties"]["event"]["enum"]) | {"result"} == found_in("server/stream.c", r'"event: (\w+)\\n')
    assert found_in("server/stream.c", r'\\ndata: \{\\"(\w+)\\"') == set(SCHEMAS["Printed"]["properties"])


def test_routes_statuses_and_headers():
    built_in = {"/", "/docs", "/page/{name}"}
    assert set(DOCUMENT["paths"]) == found_in("server/api.c", r'strcmp\(path, "([^"]+)"\)') | built_in
    statuses = {status for _, _, item in operations() for status in item["responses"]}
    code = "".join(text_of("src", "server", f"{name}.c") for name in ("api", "mcp", "request", "response", "http"))
    assert statuses == set(re.findall(r"\b(20[0-9]|30[0-9]|4[0-9][0-9]|50[0-9])\b(?![.\"])", code))
    told = {name for _, _, item in operations() for response in item["responses"].values()
            for name in follow(response).get("headers", {})}
    assert told == found_in("server/headers.c", r'add_header\(headers, "([\w-]+)"') - {"Content-Type", "Connection"}
