"""The keys files and outputs: what a request places in /tmp, and what its answer brings back from there."""
import base64
import json
import time

import pytest
from service import Service, needs_poverty

KB = 1024
TREE = (
    "import os\ndef main():\n    return {os.path.join(top, name)[5:]: open(os.path.join(top, name), 'rb').read().hex()\n"
    "            for top, _, names in os.walk('/tmp') for name in names}"
)


def b64(data):
    return base64.b64encode(data).decode()


def text(value="x"):
    return {"text": value}


def refused(answer, *words):
    assert answer.status == 400 and answer.outcome is None and set(answer.json) == {"error"}, answer
    assert answer.error.startswith("Invalid input: ") and all(word in answer.error for word in words), answer


def outputs(answer):
    return {one["name"]: None if "base64" not in one else base64.b64decode(one["base64"], validate=True) for one in answer.json["outputs"]}


# --- files ------------------------------------------------------------------------------------------

FILES = {
    "a.txt": text("héllo\r\n\0"), "empty": text(""), "none": {"base64": ""}, "b/c/d.bin": {"base64": b64(bytes(range(256)))}, "b/e": text(),
    "b.x": text(), "b c": text(), "é/世界": text(), "back\\slash": text(), "...": text(), "-": text(), "x" * 255: text(), "/".join("abcdefghijklmnop"): text(),
    "\n": text(), "/".join(["y" * 255] * 3): text(),
}


def test_files_are_there_before_the_script(service):
    want = {name: (one["text"].encode() if "text" in one else base64.b64decode(one["base64"])).hex() for name, one in FILES.items()}
    assert service.run(TREE, files=FILES).result == want
    assert service.run("f = open('a').read()\ndef main(): return f", files={"a": text("1")}).body == b'{"result": "1", "stdout": ""}'
    assert service.run(TREE, files={}).result == service.run(TREE, files=None).result == {}
    escaped = b'{"script": %s, "files": {"\\u0061": {"b\\u0061se6\\u0034": "\\/\\/9\\u0042"}}}' % json.dumps(TREE).encode()
    assert service.post(escaped).result == {"a": "ffff41"}


def test_files_with_the_other_keys(service):
    script = "def main(x): return [x, input(), open('a').read()]"
    assert service.run(script, files={"a": text("f")}, input=1, stdin="s\n", seed=1).result == [1, "s", "f"]


@pytest.mark.parametrize(
    "name, words",
    [("", "empty"), ("/a", "absolute"), ("//", "absolute"), (".", "'..'"), ("..", "'..'"), ("a/../b", "'..'"), ("../../etc/passwd", "'..'"), ("a/.", "'..'"),
     ("./a", "'..'"), ("a//b", "empty part"), ("a/", "empty part"), ("a\0b", "NUL"), ("\0", "NUL"), ("\ud800", "surrogate"), ("x" * 256, "255"),
     ("é" * 128, "255"), ("/".join("a" * 17), "16 levels"), ("a/" * 100_000 + "b", "too long")],
)
def test_names_that_are_none(service, name, words):
    refused(service.run(TREE, files={"good": text(), name: text()}), "files ", words)


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a.b", "a b", "a"), ("a/b", "a/b/c/d", "a/b.c")])
def test_a_file_and_a_folder_of_one_name(service, names):
    refused(service.run(TREE, files={name: text() for name in names}), "a file and a folder")


def test_one_name_twice(service):
    refused(service.post(b'{"script": "", "files": {"a": {"text": ""}, "\\u0061": {"text": ""}}}'), "twice")


@pytest.mark.parametrize("value", [1, "x", None, [], {}, {"text": 1}, {"base64": None}, {"text": "", "base64": ""}, {"Text": ""}, {"text": "", "mode": 1}, {"text": "\ud800"}])
def test_contents_that_are_none(service, value):
    refused(service.run(TREE, files={"the name": value}), 'files "the name" ')


@pytest.mark.parametrize("rubbish", ["A", "AA", "AAA", "AAAAA", "AA=A", "A===", "====", "=", "AA==AAAA", "AB==", "AAB=", "AA A", "AAAA\n", "-_AA", "é===", "AA\0=", "AAAA===="])
def test_base64_that_is_none(service, rubbish):
    refused(service.run(TREE, files={"n": {"base64": rubbish}}), 'files "n" has no proper base64')


@pytest.mark.parametrize("value", [1, "x", True, []])
def test_files_is_an_object(service, value):
    refused(service.run(TREE, files=value), "'files' must be an object")


def test_how_many_files(service):
    assert len(service.run(TREE, files={f"f{i}": text() for i in range(1000)}).result) == 1000
    refused(service.run(TREE, files={f"f{i}": text() for i in range(1001)}), "more than 1000 files")
    refused(service.run(TREE, files={f"{i}/f": text() for i in range(600)}), "1200 files and folders, the limit is 1024")
    begin = time.monotonic()
    refused(service.post(b'{"script": "", "files": {' + b",".join(b'"%d":{"text":""}' % i for i in range(700_000)) + b"}}"), "1000")
    assert time.monotonic() - begin < 5
    service.assert_well()


def small(start, **keys):
    return start("--scratch-mb=1", "--scratch-files=16", "--outputs-kb=16", **keys)


def test_files_that_do_not_fit(start):
    one = small(start)
    length = "import os\ndef main(): return os.stat('a').st_size"
    assert one.run(length, files={"a": text("x" * (KB * KB))}).result == KB * KB
    refused(one.run(length, files={"a": text("x" * (KB * KB)), "b": text()}), "1048577 bytes, the limit is 1048576")
    refused(one.run(length, files={"a": {"base64": b64(bytes(KB * KB + 1))}}), "1048577")
    # Its folder and its page are more than the server can know.
    answer = one.run("def main(): pass", files={"d/" + str(i): text("x" * 70_001) for i in range(14)}, outputs=["nothing"])
    assert answer.outcome in ("exception", "scratch_limit", "ok"), answer
    one.assert_well()


# --- outputs ----------------------------------------------------------------------------------------


def write(**files):
    return "def main():\n" + "".join(f"    open({name!r}, 'wb').write({data!r})\n" for name, data in files.items()) + "    return 1"


def test_outputs_stand_beside_the_result(service):
    answer = service.run("def main(): open('t.csv', 'w').write('a,b\\n'); print('hi'); return 1", outputs=["*.csv"])
    assert answer.body == (
        b'{"result": 1, "stdout": "hi\\n", "outputs": [{"name": "t.csv", "size": 4, "media_type": "text/csv", "base64": "YSxiCg=="}]}'
    )
    assert service.run("def main(): return 1", outputs=[]).body == b'{"result": 1, "stdout": "", "outputs": []}'
    assert service.run("def main(): return 1", outputs=None).body == b'{"result": 1, "stdout": ""}'


MANY = ["a.csv", "b.CSV", "x/a.csv", "x/y/a.csv", "x/y/z.png", ".hidden", "[1]", "q\n", "w/a"]


@pytest.mark.parametrize(
    "patterns, want",
    [(["*.csv"], "a.csv"), (["**/*.csv"], "a.csv x/a.csv x/y/a.csv"), (["x/*"], "x/a.csv"), (["x/**"], "x/a.csv x/y/a.csv x/y/z.png"), (["?.csv", "a.*", "a.csv"], "a.csv"),
     (["*/*/*.p[mn]g"], "x/y/z.png"), (["[!x]/a"], "w/a"), (["[[]1]"], "[1]"), (["**"], None), (["**/**/**/*"], None), (["**/**/*", "*"], None), (["*"], "a.csv b.CSV .hidden [1] q\n"),
     (["**/y/**/*.csv"], "x/y/a.csv"), (["x"], ""), (["nothing"], ""), (["[z-a]", "[", "[]"], ""), (["*/**/a.csv"], "x/a.csv x/y/a.csv")],
)
def test_patterns(service, patterns, want):
    answer = service.run("def main(): pass", files={name: text(name) for name in MANY}, outputs=patterns)
    found = [one["name"] for one in answer.json["outputs"]]
    assert found == sorted(MANY if want is None else want.split(" ") if want else [])
    assert outputs(answer) == {name: name.encode() for name in found}


@pytest.mark.parametrize("pattern", ["", "/tmp/*", "/", "..", "../*", "a/../b", "a//b", "a/", "./a", "a\0", "\ud800", "x" * 1001, 1, None, ["x"], {}])
def test_patterns_that_are_none(service, pattern):
    refused(service.run("def main(): pass", outputs=["*", pattern]), "outputs ")


def test_bounds_of_patterns(service):
    assert service.run("def main(): pass", outputs=["x" * 1000] * 100).json["outputs"] == []
    refused(service.run("def main(): pass", outputs=["x"] * 101), "more than 100 patterns")
    for value in (1, "x", {}, True):
        refused(service.run("def main(): pass", outputs=value), "'outputs' must be an array")


@pytest.mark.parametrize(
    "end, outcome", [("1 / 0", "exception"), ("return {1}", "not_serializable"), ("raise MemoryError", "memory"), ("return 'x' * 9000000", "output_limit")]
)
@pytest.mark.parametrize("details", [False, True])
def test_outputs_of_runs_that_failed(service, end, outcome, details):
    answer = service.run(f"def main():\n    open('a', 'w').write('b')\n    {end}", outputs=["a"], details=details)
    assert (answer.status, answer.outcome, outputs(answer)) == (400, outcome, {"a": b"b"})
    plain = service.run(f"def main():\n    {end}")
    assert answer.error == plain.error and (not details or end != "1 / 0" or answer.json["exception"]["type"] == "ZeroDivisionError")
    assert outputs(service.run("open('a', 'w').close()", outputs=["a"])) == {"a": b""}


def test_no_outputs_of_a_500(service):
    for script in ("import sys\nopen('a', 'w').close()\nsys.exit()", "import os\nos._exit(0)"):
        assert service.run(script, outputs=["*"]).body == b'{"error": "Execution failed"}'


def test_what_fits(start):
    one = small(start)
    answer = one.run("def main():\n    for name, size in ('a', 16384), ('b', 0), ('c', 1): open(name, 'w').write('x' * size)", outputs=["*"])
    assert outputs(answer) == {"a": b"x" * 16384, "b": b"", "c": None} and answer.json["outputs_truncated"] is True
    assert answer.json["outputs"][2] == {"name": "c", "size": 1, "media_type": "application/octet-stream", "truncated": True}
    answer = one.run("def main():\n    for name, size in ('a', 16385), ('c', 1): open(name, 'w').write('x' * size)", outputs=["*"])
    assert outputs(answer) == {"a": None, "c": b"x"}


def test_four_mebibytes_and_a_hundred_files(service):
    full = "import os\ndef main(): open('a', 'wb').write(os.urandom(4 << 20)); open('b', 'w').write('c' * %d)"
    answer = service.run(full % 0, outputs=["*"])
    assert len(outputs(answer)["a"]) == 4 << 20 and outputs(answer)["b"] == b"" and "outputs_truncated" not in answer.json
    assert outputs(service.run(full % 1, outputs=["*"]))["b"] is None
    sparse = service.run("def main(): open('a', 'wb').truncate(60 << 20)", outputs=["*"])
    assert sparse.json["outputs"][0]["size"] == 60 << 20 and sparse.json["outputs_truncated"]
    many = service.run("def main():\n    for i in range(101): open(f'{i:03}', 'w').close()", outputs=["*"])
    assert [name for name, data in outputs(many).items() if data is None] == ["100"]


def test_ten_thousand_entries(start):
    one = start("--scratch-files=20000")
    answer = one.run("def main():\n    for i in range(10500): open(f'{i:05}', 'w').close()", outputs=["**/**/**/*"] * 3)
    assert answer.status == 200 and answer.json["outputs_truncated"] is True and 9000 < len(answer.json["outputs"]) <= 10000
    long = one.run("def main():\n    for i in range(5000): open(f'{i:05}' + '\\x01' * 250, 'w').close()", outputs=["*"])
    assert long.json["outputs_truncated"] is True and len(long.body) < 1_100_000


def test_links_and_what_is_no_file(service):
    script = (
        "import os\ndef main():\n    os.mkdir('d'); open('d/f', 'w').write('1')\n    os.symlink('d', 'e'); os.symlink('/etc/passwd', 'p'); os.symlink('d/f', 'l')\n"
        "    os.symlink('/', 'root'); os.symlink('.', 'loop'); os.symlink('nowhere', 'n'); os.link('d/f', 'hard')\n"
        "    for make in (lambda: os.mkfifo('fifo'), lambda: os.mknod('dev', 0o20666, os.makedev(1, 5))):\n        try: make()\n        except OSError: pass\n"
        "    open('secret', 'w').close(); os.chmod('secret', 0)"
    )
    answer = service.run(script, outputs=["**", "dev", "fifo", "e/f", "p", "root/etc/passwd", "loop/loop/l"])
    assert answer.seconds < 3 and {**outputs(answer), "secret": None} == {"d/f": b"1", "hard": b"1", "secret": None}


def test_deep_folders(service):
    script = "import os\ndef main():\n    for i in range(300): open('f', 'w').close(); os.mkdir('d'); os.chdir('d')"
    answer = service.run(script, outputs=["**/f"])
    assert len(outputs(answer)) == 33 and answer.json["outputs_truncated"] is True
    assert service.run(script, outputs=["*"]).json["outputs"] == [{"name": "f", "size": 0, "media_type": "application/octet-stream", "base64": ""}]


def test_names_that_are_not_utf8(service):
    answer = service.run("def main(): open(b'\\xff\"\\n', 'w').close()", outputs=["*"])
    assert [one["name"] for one in answer.json["outputs"]] == ['\udcff"\n']


def test_a_script_that_replaces_everything(service):
    script = (
        "import os, re, fnmatch, glob, json, base64, binascii, builtins, stat, sys\nopen('a', 'w').write('b'); os.chdir('/')\n"
        "for m in (os, re, fnmatch, glob, json, base64, binascii, stat):\n    for k in list(vars(m)):\n        if not k.startswith('__'): setattr(m, k, None)\n"
        "for k in ('len', 'any', 'min', 'set', 'sorted', 'enumerate', 'open'): setattr(builtins, k, None)\nsys.setrecursionlimit(60)\ndef main(): return 1"
    )
    answer = service.run(script, outputs=["**"])
    assert answer.result == 1 and outputs(answer) == {"a": b"b"}
    hoard = service.run("import os\ndef main():\n    global k\n    k = []\n    try:\n        while True: k.append(os.open('/tmp', 0))\n    except OSError: return 1", outputs=["*"])
    assert hoard.json == {"result": 1, "stdout": "", "outputs": None, "outputs_truncated": True}
    service.assert_well()


FORGE = "import os, struct\np = {!r}\nos.write(3, struct.pack('II', 2, len(p)) + p)\nos._exit(0)\ndef main(): pass"


@pytest.mark.parametrize(
    "payload", [b"1", b"1\0", b"1\0=", b"1\0=1", b"1\0={}", b"1\0[]", b"1\0=[", b"1\0=[]]", b'1\0=[], "result": 2', b"1\0=[[[]]]", b"1\0=[NaN]", b"\0=[]",
                b"1\0=[]\0", b"1\0x\0=[]", b"1\0= []", b"1\0=nul", b"1\0=[\xff]", b"1\0=[\"" + b"A" * 7_000_000 + b'"]']
)
def test_forged_parts(service, payload):
    script = FORGE.format(payload) if len(payload) < 100 else "p = b'1\\0=[\"' + b'A' * 7000000 + b'\"]'\n" + FORGE.format(b"").replace("p = b''\n", "").replace(
        "os.write(3, struct.pack('II', 2, len(p)) + p)", "d = memoryview(struct.pack('II', 2, len(p)) + p)\nwhile d: d = d[os.write(3, d):]")
    answer = service.run(script, outputs=["*"])
    assert (answer.status, answer.body) == (500, b'{"error": "Execution failed"}'), answer
    service.assert_well()


def test_a_forged_part_that_is_sound_is_passed_on(service):
    assert service.run(FORGE.format(b"1\0+[{}, 2]"), outputs=["*"]).body == b'{"result": 1, "stdout": "", "outputs": [{}, 2], "outputs_truncated": true}'
    assert service.run(FORGE.format(b"1\0=[]")).status == 500  # nobody asked
    json.loads(service.run(FORGE.format(b"1\0=[]"), outputs=["*"]).body)


@needs_poverty
def test_where_no_namespaces_are_granted():
    one = Service("--scratch-mb=1", "--outputs-kb=16", poor=True)
    try:
        assert one.run(TREE, files={"a": text("1"), "b/c": text()}).result == {"a": "31", "b/c": "78"}
        assert one.run(TREE, files=FILES).status == 200
        answer = one.run("import os\ndef main(): os.chdir('/'); open('/tmp/n', 'w').write('2'); os.symlink('/etc/passwd', '/tmp/l')", files={"b/c": text()}, outputs=["**"])
        assert outputs(answer) == {"b/c": b"x", "n": b"2"}
        refused(one.run(TREE, files={"a": text("x" * (KB * KB + 1))}), "1048577")
        assert one.run("def main(): return 1", files={f"f{i}": text() for i in range(1000)}).outcome in ("ok", "scratch_limit")
        one.assert_well()
    finally:
        one.stop()
