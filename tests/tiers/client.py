"""One HTTP exchange with the service, read strictly."""
import http.client
import json
import time

MOST = 96 << 20  # bytes of an answer that are read


class Answer:
    """What came back; status 0 and `error` where nothing did."""

    def __init__(self, status=0, body=b"", seconds=0.0, headers=None, error=""):
        self.status, self.seconds, self.headers, self.error = status, seconds, headers or {}, error
        self.text = body.decode("utf-8", "replace")
        self.strict, self.body = True, None
        try:
            self.body = json.loads(body.decode("utf-8"), parse_constant=self.refuse)
        except (ValueError, RecursionError):
            self.strict = False
        self.keys = self.body if isinstance(self.body, dict) else {}
        self.result = self.keys.get("result")
        self.stdout = self.keys.get("stdout") if isinstance(self.keys.get("stdout"), str) else ""
        self.ok = status == 200 and "result" in self.keys and not self.keys.get("error")

    @staticmethod
    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    @property
    def secs(self):  # the name in the corpus
        return self.seconds

    def __str__(self):
        said = self.error or self.text[:160].replace("\n", " ")
        return f"HTTP {self.status} {self.seconds:.2f} s {said}"


def read_all(answer, end):
    """The body, at most MOST bytes and until the time is over."""
    parts, left = [], MOST
    while left > 0:
        if time.monotonic() > end:
            raise TimeoutError("the body is too slow")
        part = answer.read1(1 << 20)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def ask(port, method, path, body=b"", content_type="application/json", timeout=30):
    """One request on a connection of its own."""
    begin = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.putrequest(method, path)
        if content_type:
            connection.putheader("Content-Type", content_type)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if body:
            connection.send(body)
        answer = connection.getresponse()
        received = read_all(answer, begin + timeout)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, received, time.monotonic() - begin, headers)
    except (OSError, http.client.HTTPException) as error:
        return Answer(seconds=time.monotonic() - begin, error=f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def execute(port, script, timeout=30):
    return ask(port, "POST", "/execute", json.dumps({"script": script}).encode(), timeout=timeout)
