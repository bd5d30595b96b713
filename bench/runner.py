"""What the usual service starts for each request: runs the script from stdin, prints the answer."""
import contextlib
import io
import json
import sys

names, printed = {"__name__": "__main__"}, io.StringIO()
with contextlib.redirect_stdout(printed):
    exec(compile(sys.stdin.read(), "<string>", "exec"), names)
    result = names["main"]()
print(json.dumps({"result": result, "stdout": printed.getvalue()}), end="")
