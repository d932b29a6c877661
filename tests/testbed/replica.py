"""The program of a service's replica in the bed, in the place of the gateway: for the Python that machines have.

`replica.py RUN PORT SECONDS`: an answer takes SECONDS, and says which machine gave it, and of which run. `/readyz` is
503 in the first second, and once the cloud has announced that it takes the machine back; it answers all the same.
"""

import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = "http://169.254.169.254/latest"
TOKEN = "X-aws-ec2-metadata-token"

ready = threading.Event()


class Replica(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200 if ready.is_set() else 503, {})

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(float(sys.argv[3]))
        self._send(200, {"machine": socket.gethostname(), "run": sys.argv[1], "asked": json.loads(asked)})

    def log_request(self, code: object = None, size: object = None) -> None:
        pass

    def _send(self, status: int, body: "dict[str, object]") -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def watch() -> None:
    """Be ready after a second, until the cloud gives notice."""
    time.sleep(1)
    ready.set()
    asking = urllib.request.Request(f"{METADATA}/api/token", headers={f"{TOKEN}-ttl-seconds": "3600"}, method="PUT")
    with urllib.request.urlopen(asking, timeout=10) as reply:
        token = reply.read().decode()
    looking = urllib.request.Request(f"{METADATA}/meta-data/spot/instance-action", headers={TOKEN: token})
    while ready.is_set():
        time.sleep(1)
        try:
            with urllib.request.urlopen(looking, timeout=10):
                ready.clear()
        except urllib.error.HTTPError as error:
            assert error.code == 404, error


if __name__ == "__main__":
    threading.Thread(target=watch, daemon=True).start()
    ThreadingHTTPServer(("", int(sys.argv[2])), Replica).serve_forever()
