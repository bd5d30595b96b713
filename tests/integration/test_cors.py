"""What browsers are told: which web pages may send requests here and read the answers (--origins)."""
import json

import pytest
from bearer import Keys, run
from service import order

GOOD = order("def main(): return 1")
PAGE, OTHER = "https://a.example", "https://b.example"
ANSWERED = {"vary", "access-control-allow-origin", "access-control-expose-headers"}
ASKED = ANSWERED | {"access-control-allow-methods", "access-control-allow-headers", "access-control-max-age"}


def sharing(answer):
    return {name for name in answer.headers if name == "vary" or name.startswith("access-control-")}


def words(answer, name):
    return {word.strip().lower() for word in answer.headers[name].split(",")}


def ask_before(service, origin, path="/execute"):
    """The question of a browser before a POST with a key."""
    return service.ask("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": "POST",
                                                 "Access-Control-Request-Headers": "authorization,content-type"})


@pytest.fixture(scope="module")
def shared(program):
    from service import Service

    one = Service("--preload=", f"--origins={PAGE},app://c")
    yield one
    one.stop()


def test_off_by_default(service):
    for origin in (PAGE, "http://localhost:3000", "null"):
        assert sharing(service.post(GOOD, {"Origin": origin})) == set()
        answer = ask_before(service, origin)
        assert answer.status == 204 and sharing(answer) == set()


@pytest.mark.parametrize("path", ["/execute", "/mcp"])
@pytest.mark.parametrize("origin", [PAGE, "app://c"])
def test_the_question_before(shared, path, origin):
    answer = ask_before(shared, origin, path)
    assert answer.status == 204 and answer.body == b"" and sharing(answer) == ASKED
    assert answer.headers["access-control-allow-origin"] == origin and answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-methods"] == answer.headers["allow"] == "POST, OPTIONS"
    assert {"authorization", "content-type"} <= words(answer, "access-control-allow-headers")
    assert "access-control-allow-credentials" not in answer.headers


def test_answers(shared):
    for answer in (shared.post(GOOD, {"Origin": PAGE}), shared.post(b"{", {"Origin": PAGE}), shared.ask("GET", "/nowhere", headers={"Origin": PAGE}),
                   shared.ask("GET", "/isolation", headers={"Origin": PAGE}), shared.ask("PUT", "/execute", headers={"Origin": PAGE})):
        assert sharing(answer) == ANSWERED and answer.headers["access-control-allow-origin"] == PAGE
        assert {"execution-outcome", "server-timing", "x-request-id", "retry-after"} <= words(answer, "access-control-expose-headers")


def test_a_stream(shared):
    answer = shared.post(GOOD, {"Origin": PAGE, "Accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream" and sharing(answer) == ANSWERED
    assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origin", [OTHER, "null", "", PAGE + ".evil", PAGE + ":444", "http://a.example", f"{PAGE},app://c", "*", "http://localhost"])
def test_other_pages_learn_nothing(shared, origin):
    """What they send to /execute runs, as what any other client sends; a cache must know that pages differ."""
    for answer in (shared.post(GOOD, {"Origin": origin}), ask_before(shared, origin)):
        assert answer.status in (200, 204) and sharing(answer) == {"vary"}


def test_no_page(shared):
    assert sharing(shared.post(GOOD)) == {"vary"}


def test_mcp_keeps_to_the_same_list(shared):
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    answer = shared.ask("POST", "/mcp", ping, {"Origin": PAGE})
    assert answer.status == 200 and sharing(answer) == ANSWERED
    answer = shared.ask("POST", "/mcp", ping, {"Origin": OTHER})
    assert answer.status == 403 and sharing(answer) == {"vary"}


def test_all_pages(start):
    one = start("--preload=", "--origins=*")
    for origin in (PAGE, OTHER, "null"):
        assert one.post(GOOD, {"Origin": origin}).headers["access-control-allow-origin"] == "*"
        assert sharing(ask_before(one, origin, "/mcp")) == ASKED
    assert "every web page may run scripts" in one.log


def test_beside_keys(start, tmp_path):
    """A browser asks without the key, and its page can read why it was refused."""
    keys = Keys(str(tmp_path))
    keys.add("page", "rate=1/min", "burst=1")
    one = start("--preload=", f"--origins={PAGE}", f"--keys={keys.path}")
    assert ask_before(one, PAGE).status == 204
    origin = {"Origin": PAGE}
    answers = [one.post(GOOD, origin), one.post(GOOD, {**origin, **keys.headers("page")}), one.post(GOOD, {**origin, **keys.headers("page")})]
    assert [answer.status for answer in answers] == [401, 200, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == PAGE and "retry-after" in words(answer, "access-control-expose-headers")
    assert run(one, keys, "page").status == 429 and sharing(run(one, keys, "page")) == {"vary"}
