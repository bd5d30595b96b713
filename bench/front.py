"""The usual service: an HTTP front end that starts a command for each request: front.py COMMAND...

The command gets the script on stdin, what it prints is the answer. Prints its port. As many commands run at once as this
project's service runs scripts, two for each core, first come first served; a request whose client has gone is not begun.
"""
import concurrent.futures
import ctypes
import http.server
import json
import os
import socket
import subprocess
import sys

import processes

PR_SET_CHILD_SUBREAPER = 36

pool = concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count())


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece

    def client_is_gone(self):
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def execute(self, script):
        if self.client_is_gone():
            return None
        return subprocess.run(sys.argv[1:], input=script, stdout=subprocess.PIPE)

    def do_POST(self):
        script = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["script"]
        ended = pool.submit(self.execute, script.encode()).result()
        if ended is None:
            self.close_connection = True
            return
        self.send_response(200 if ended.returncode == 0 else 500)
        self.send_header("Content-Length", str(len(ended.stdout)))
        self.end_headers()
        self.wfile.write(ended.stdout)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that went away."""


def wait_for_orphans():
    """Returns in a child, which serves; we wait. bwrap does not for the process that it has made: it would end as a
    child of somebody else, and nobody could tell what CPU time it took."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = os.fork()
    if server == 0:
        processes.end_with_us()
        return
    while os.wait()[0] != server:
        continue
    os._exit(1)


wait_for_orphans()
server = Server(("127.0.0.1", 0), Front)
print(server.server_port, flush=True)
server.serve_forever()
