"""GET /, /page/NAME and /docs: what browsers are served, how, and that it goes away with --no-page."""
import gzip
import html.parser
import json
import os
import re
import socket

import pytest
from bearer import Keys
from exposition import Metrics
from service import BUILD, ROOT

WEB = os.path.join(ROOT, "web")
TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
         "svg": "image/svg+xml; charset=utf-8", "txt": "text/plain; charset=utf-8"}
PAGE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
OTHER_POLICY = ("default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'")
MOST_BYTES = 200_000  # of a visit


def bytes_of(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


DOCUMENT = json.loads(bytes_of(ROOT, "openapi", "openapi.json"))
MADE = {"/docs": os.path.join(BUILD, "web", "docs.html"), "/page/editor.js": os.path.join(BUILD, "web", "editor.js"),
        "/page/licenses.txt": os.path.join(BUILD, "web", "licenses.txt")}
ASSETS = {("/" if name == "index.html" else "/page/" + name): os.path.join(WEB, name) for name in os.listdir(WEB)
          if name.rpartition(".")[2] in TYPES and name != "editor-plain.js"} | MADE
HTML = {"Accept": "text/html"}  # as browsers say
PACK = {**HTML, "Accept-Encoding": "br, gzip"}


def vary_of(path):
    return "Accept, Accept-Encoding" if path == "/" else "Accept-Encoding"


def test_there_are_some():
    assert len(ASSETS) > 10 and {"/", "/page/page.css", "/page/main.js", "/page/docs.css"} < set(ASSETS)


# --- As it is, and packed ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(ASSETS))
def test_each_is_served_plain_and_packed(service, path):
    plain, packed = service.ask("GET", path, headers=HTML), service.ask("GET", path, headers=PACK)
    assert plain.status == packed.status == 200
    assert plain.body == bytes_of(ASSETS[path]) and "content-encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body and packed.headers["content-encoding"] == "gzip"
    assert packed.body == gzip.compress(plain.body, 9, mtime=0)  # built again it is the same
    for answer in (plain, packed):
        assert answer.headers["content-type"] == TYPES[ASSETS[path].rpartition(".")[2]]
        assert answer.headers["vary"] == vary_of(path) and answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-length"] == str(len(answer.body))
        assert re.fullmatch(r'"[0-9a-f]{32}(-gzip)?"', answer.headers["etag"])
    assert plain.headers["etag"] != packed.headers["etag"]


@pytest.mark.parametrize("path", sorted(ASSETS))
def test_each_has_the_headers_that_confine_it(service, path):
    headers = service.ask("GET", path, headers=HTML).headers
    assert headers["content-security-policy"] == (PAGE_POLICY if path == "/" else OTHER_POLICY)
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("accepted, encoding", [
    ("gzip", "gzip"), ("GZIP;q=0.5", "gzip"), ("*", "gzip"), ("deflate, gzip, br, zstd", "gzip"),
    ("gzip;q=0", None), ("gzip;q=0, *", None), ("identity", None), ("", None),
])
def test_whoever_refuses_gzip_gets_none(service, accepted, encoding):
    assert service.ask("GET", "/", headers={**HTML, "Accept-Encoding": accepted}).headers.get("content-encoding") == encoding


@pytest.mark.parametrize("path", sorted(ASSETS))
def test_who_has_it_is_told_so(service, path):
    for wanted in (HTML, PACK):
        first = service.ask("GET", path, headers=wanted)
        tag = first.headers["etag"]
        for known in (tag, "W/" + tag, f'"other", {tag}', "*"):
            same = service.ask("GET", path, headers={**wanted, "If-None-Match": known})
            assert same.status == 304 and same.body == b"" and same.headers["etag"] == tag
            assert same.headers.get("content-length", str(len(first.body))) == str(len(first.body))  # RFC 9110, 8.6
            assert same.headers["cache-control"] == "no-cache" and same.headers["vary"] == vary_of(path)
        assert service.ask("GET", path, headers={**wanted, "If-None-Match": '"other"'}).body == first.body


def test_a_304_leaves_its_connection_usable(service):
    tag = service.ask("GET", "/", headers=HTML).headers["etag"]
    ask = f"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nIf-None-Match: {tag}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(ask + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = b""
        while more := client.recv(65536):
            said += more
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"304", b"200"] and said.endswith(b'{"status": "ok"}')


@pytest.mark.parametrize("path", sorted(ASSETS))
def test_head_has_the_headers_alone(service, path):
    for wanted in (HTML, PACK):
        get, head = service.ask("GET", path, headers=wanted), service.ask("HEAD", path, headers=wanted)
        assert head.status == 200 and head.body == b""
        for answer in (get, head):
            del answer.headers["x-request-id"], answer.headers["date"]
        assert head.headers == get.headers


@pytest.mark.parametrize("accepted", [None, "application/json", "text/plain;q=0.5"])
def test_who_takes_no_html_is_told_what_is_here(service, accepted):
    answer = service.ask("GET", "/", headers={"Accept": accepted} if accepted else {})
    assert answer.status == 200 and answer.headers["content-type"] == "application/json" and answer.headers["vary"] == vary_of("/")
    assert answer.headers["content-security-policy"] == OTHER_POLICY and answer.json["service"] == "python-executor"
    for place in answer.json.values():
        path = place.split()[-1]
        assert path == "python-executor" or service.ask("OPTIONS", path).status == 204, place
    tag = answer.headers["etag"]
    assert service.ask("GET", "/", headers={"If-None-Match": tag}).status == 304
    assert service.ask("GET", "/", headers={**HTML, "If-None-Match": tag}).status == 200


def test_what_is_there_for_the_build_is_not_served(service):
    for path in ("/page/", "/page", "/page/meson.build", "/page/editor-plain.js", "/page/editor/editor.js", "/page/index.html",
                 "/page/../web/main.js", "/page/%2e%2e/meson.build", "/docs/", "/docs.html", "/index.html", "/favicon.ico"):
        assert service.ask("GET", path).status == 404, path


def test_readers_that_do_not_read_hold_nothing(service):
    """It is lent, not copied for each."""
    clients = []
    for _ in range(20):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", service.port))
        client.sendall(b"GET /page/editor.js HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
        clients.append(client)
    metrics = Metrics(service.ask("GET", "/metrics").body.decode())
    for client in clients:
        client.close()
    assert metrics["python_executor_held_bytes", ()] == 0


def test_a_visit_is_small(service):
    paths = [path for path in ASSETS if path not in ("/docs", "/page/docs.css", "/page/licenses.txt")]
    sizes = {path: len(service.ask("GET", path, headers=PACK).body) for path in paths}
    print(f"\na visit of /: {sum(sizes.values())} bytes, of which the editor is {sizes['/page/editor.js']}")
    assert sum(sizes.values()) < MOST_BYTES


# --- Who may ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, environment", [(["--no-page"], {}), (["--page=off"], {}), ([], {"PYTHON_EXECUTOR_PAGE": "off"})])
def test_it_can_be_switched_off(start, options, environment):
    one = start("--preload=", *options, environment=environment)
    for path in ("/", "/docs", "/page/main.js", "/page/editor.js"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = one.ask(method, path)
            assert answer.status == 404 and answer.error == "Not found, the service is at POST /execute."
    assert one.run("def main(): return 1").result == 1


def test_it_needs_no_key_and_what_it_calls_does(start, tmp_path):
    keys = Keys(str(tmp_path))
    keys.add("alice")
    one = start("--preload=", f"--keys={keys.path}")
    for path in ASSETS:
        assert one.ask("GET", path).status == 200, path
    for method, path in (("POST", "/execute"), ("GET", "/isolation"), ("GET", "/metrics"), ("GET", "/page/none.js")):
        assert one.ask(method, path).status == 401, path
    off = start("--preload=", f"--keys={keys.path}", "--no-page")
    assert off.ask("GET", "/").status == 401 and off.ask("GET", "/", headers=keys.headers("alice")).status == 404


# --- The reference ----------------------------------------------------------------------------------

VOID = {"meta", "link", "br", "input", "img", "hr", "path", "rect"}


class Page(html.parser.HTMLParser):
    """A page of which every element is closed where it should be; its text, elements and identifiers."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag, (tag, self.open, self.getpos())

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def reference(service):
    return Page(service.ask("GET", "/docs").body.decode())


def test_the_reference_is_sound(reference):
    ids = reference.all("id")
    assert len(set(ids)) == len(ids) > 100
    levels = [int(tag[1]) for tag, _ in reference.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:]))
    tags = [tag for tag, _ in reference.elements]
    assert all(tags.count(one) == 1 for one in ("header", "nav", "main", "title")) and not {"script", "style", "iframe", "form"} & set(tags)
    assert not [name for _, attributes in reference.elements for name in attributes if name == "style" or name.startswith("on")]
    assert ("html", {"lang": "en"}) in reference.elements
    skip = next(attributes for tag, attributes in reference.elements if tag == "a")
    assert skip["class"] == "skip" and skip["href"] == "#content"


def test_its_links_lead_somewhere_here(service, reference):
    ids = set(reference.all("id"))
    links = set(reference.all("href") + reference.all("src"))
    assert {"#" + one for one in ids if one.startswith("schema-")} < links
    for link in links:
        assert link[1:] in ids if link.startswith("#") else service.ask("GET", "/" + link.removeprefix("./")).status == 200, link
    assert not re.search(r"https?://", " ".join(links) + reference.text)


def nodes(value):
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(item)


def squeezed(text):
    return re.sub(r"\s+", " ", text)


def test_it_says_all_that_the_document_says(reference):
    text, ids = squeezed(reference.text), set(reference.all("id"))
    for path, item in DOCUMENT["paths"].items():
        for method in set(item) & {"get", "post", "head", "options"}:
            assert f"{method.upper()} {path}" in text
            for status in item[method]["responses"]:
                assert f"{re.sub('[^A-Za-z0-9]+', '-', method + '-' + path).strip('-')}-{status}" in ids
    for kind in ("schemas", "headers", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f"{kind[:-1]}-{name}" in ids
    found = [node for node in nodes(DOCUMENT) if isinstance(node, dict)]
    for node in found:
        for key in ("description", "summary"):
            for part in node[key].split("\n\n") if isinstance(node.get(key), str) else ():
                assert squeezed(part.replace("`", "")) in text, part
        for key in ("properties", "headers"):
            for name in node.get(key, {}):
                assert name in text, name
        if isinstance(node.get("enum"), list):
            assert all(json.dumps(value) in text for value in node["enum"])
        for key in ("pattern", "minimum", "maximum", "default", "minItems", "maxItems"):
            assert key not in node or isinstance(node[key], dict) or json.dumps(node[key]) in text, node
    for example in [one["value"] for node in found if "schema" in node for one in node.get("examples", {}).values()]:
        if isinstance(example, dict) and "script" in example:
            assert squeezed(example.pop("script")) in text
        if example:
            assert squeezed(json.dumps(example, ensure_ascii=False, indent=2)) in text, example
