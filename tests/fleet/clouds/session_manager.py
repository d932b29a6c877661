"""Stand-ins for AWS's command line and its plugin, which really forward a port, and for SkyPilot's server behind it."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

AWS = """import json, os, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
if (here / "refusal").exists():
    sys.exit("An error occurred: " + (here / "refusal").read_text())
given = sys.argv[sys.argv.index("--parameters") + 1]
local = dict(pair.split("=") for pair in given.split(","))["localPortNumber"]
print("Starting session with SessionId: someone-0123", flush=True)
# As a child, like AWS's own.
sys.exit(subprocess.call(["session-manager-plugin", local, (here / "server").read_text()]))
"""

PLUGIN = """import socket, socketserver, sys, threading
def address(text):
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)
class Forward(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(address(sys.argv[2])) as far:
            back = threading.Thread(target=self.pump, args=(far, self.request), daemon=True)
            back.start()
            self.pump(self.request, far)
            back.join()
    @staticmethod
    def pump(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
with Server(address(sys.argv[1]), Forward) as server:
    server.serve_forever()
"""


class SessionManager:
    """A folder with both programs, to be used as PATH."""

    def __init__(self, folder: Path, server: int | str) -> None:
        """`server` is the port that sessions lead to, on this machine or as host:port."""
        self.folder = folder
        folder.mkdir()
        for name, text in (("aws", AWS), ("session-manager-plugin", PLUGIN)):
            (folder / name).write_text(f"#!{sys.executable}\n{text}")
            (folder / name).chmod(0o755)
        (folder / "server").write_text(str(server))

    def refuse(self, words: str) -> None:
        (self.folder / "refusal").write_text(words)

    @property
    def asked(self) -> list[list[str]]:
        """The arguments of each call."""
        path = self.folder / "asked"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def skypilot_server(status: int = 200, body: str = '{"status": "healthy"}') -> Iterator[int]:
    """A server that answers like SkyPilot's to a health check; yields its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of its base
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
