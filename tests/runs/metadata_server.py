"""The three clouds' metadata services on this machine, each as strict as the real one, which can also misbehave.

`with AwsServer() as aws: ...` serves at `aws.url` until the block ends. What a request must bring (tokens, headers,
versions) is demanded as the cloud demands it; `breaking` replaces chosen answers by anything at all.
"""

import json
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, Self, cast
from urllib.parse import parse_qs, urlsplit

Breakage = Callable[[BinaryIO], None]
"""Writes whatever it likes to the connection, which is closed when it returns."""


class MetadataServer(ThreadingHTTPServer):
    """Common base of the three: an address, a clock, a list of requests, and a way to break answers."""

    daemon_threads = True
    handler: type["Handler"]

    def __init__(self, port: int = 0) -> None:
        self.asked: list[str] = []
        """`GET /path` of each request, in order."""
        self.refused: list[int] = []
        """Status of each answer above 400, except 404: the client's errors."""
        self.skew = timedelta()
        """Time by which this service's clock is ahead of the machine's."""
        self.dated = True
        """True where answers carry a Date header."""
        self.changed = threading.Condition()
        self._broken: tuple[str, Breakage] | None = None
        super().__init__(("127.0.0.1", port), self.handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @contextmanager
    def breaking(self, path: str, breakage: Breakage) -> Generator[None]:
        """Answer requests whose path holds `path` by `breakage` instead."""
        self.break_at(path, breakage)
        try:
            yield
        finally:
            self.mend()

    def break_at(self, path: str, breakage: Breakage) -> None:
        self._broken = (path, breakage)

    def mend(self) -> None:
        self._broken = None

    def breakage(self, path: str) -> Breakage | None:
        return self._broken[1] if self._broken and self._broken[0] in path else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler, ABC):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._take("GET")

    def do_PUT(self) -> None:
        self._take("PUT")

    @abstractmethod
    def answer(self, method: str, path: str, query: dict[str, str]) -> None:
        """Answer as this cloud's service does."""

    def reply(self, status: int, text: str = "", kind: str = "text/plain", **headers: str) -> None:
        server = cast(MetadataServer, self.server)
        if status >= 400 and status != 404:
            server.refused.append(status)
        body = text.encode()
        self.send_response_only(status)
        if server.dated:
            self.send_header("Date", format_datetime(server.now, usegmt=True))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The tests read `asked` instead."""

    def _take(self, method: str) -> None:
        server = cast(MetadataServer, self.server)
        server.asked.append(f"{method} {self.path}")
        if breakage := server.breakage(self.path):
            self.close_connection = True
            breakage(cast(BinaryIO, self.wfile))
            return
        url = urlsplit(self.path)
        self.answer(method, url.path, {name: values[-1] for name, values in parse_qs(url.query).items()})


class AwsHandler(Handler):
    def answer(self, method: str, path: str, query: dict[str, str]) -> None:
        server = cast(AwsServer, self.server)
        if method == "PUT":
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            if path != "/latest/api/token":
                self.reply(405)
            elif "X-Forwarded-For" in self.headers:
                self.reply(403)
            elif not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
                self.reply(400)
            else:
                self.reply(200, server.new_token(int(seconds)), X_Aws_Ec2_Metadata_Token_Ttl_Seconds=seconds)
        elif server.tokens.get(self.headers.get("X-aws-ec2-metadata-token", ""), 0) <= time.monotonic():
            self.reply(401)
        elif (item := server.items.get(path.removeprefix("/latest/").removeprefix("meta-data/"))) is not None:
            self.reply(200, item, "application/json")
        else:
            self.reply(404)


class AwsServer(MetadataServer):
    """EC2's instance metadata service, version 2 only."""

    handler = AwsHandler

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.tokens: dict[str, float] = {}
        self.items: dict[str, str] = {"instance-id": "i-0123456789abcdef0"}
        """Texts by their paths below `meta-data/`, or below `/latest/`."""

    def new_token(self, seconds: int) -> str:
        token = secrets.token_urlsafe(40) + "=="
        self.tokens[token] = time.monotonic() + seconds
        return token

    def rent(self, launched: datetime | None = None, *, spot: bool = True, **others: str) -> None:
        """Be an instance: set the life cycle and the identity document, in which `others` replace values."""
        document = {
            "accountId": "123456789012",
            "architecture": "x86_64",
            "availabilityZone": "us-east-1b",
            "billingProducts": None,
            "imageId": "ami-0123456789abcdef0",
            "instanceId": self.items["instance-id"],
            "instanceType": "p5.48xlarge",
            "pendingTime": _iso(launched or self.now),
            "privateIp": "10.0.0.4",
            "region": "us-east-1",
            "version": "2017-09-30",
        }
        self.items["dynamic/instance-identity/document"] = json.dumps(document | others)
        self.items["instance-life-cycle"] = "spot" if spot else "on-demand"

    def interrupt(self, action: str = "terminate", after: float | None = 120.0) -> None:
        """Give the notice of a spot interruption, `after` seconds from now by the service's clock."""
        notice = {"action": action}
        if after is not None:
            notice["time"] = _iso(self.now + timedelta(seconds=after))
        self.items["spot/instance-action"] = json.dumps(notice)

    def rebalance(self) -> None:
        self.items["events/recommendations/rebalance"] = json.dumps({"noticeTime": _iso(self.now)})


class GcpHandler(Handler):
    def answer(self, method: str, path: str, query: dict[str, str]) -> None:
        server = cast(GcpServer, self.server)
        key = path.removeprefix("/computeMetadata/v1/instance/")
        own = {"Metadata_Flavor": "Google", "Server": "Metadata Server for VM"}
        if method != "GET":
            self.reply(405, **own)
        elif self.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in self.headers:
            self.reply(403, **own)
        elif path == "/":
            self.reply(200, "computeMetadata/\n", "application/text", **own)
        elif key not in server.values:
            self.reply(404, **own)
        else:
            if query.get("wait_for_change") == "true":
                with server.changed:
                    last = query.get("last_etag", server.etag(key))
                    server.changed.wait_for(lambda: server.etag(key) != last, float(query.get("timeout_sec", "3600")))
            self.reply(200, server.values[key], "application/text", ETag=server.etag(key), **own)


class GcpServer(MetadataServer):
    """Compute Engine's metadata server."""

    handler = GcpHandler

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.values = {
            "preempted": "FALSE",
            "maintenance-event": "NONE",
            "id": "4520031799277581759",
            "zone": "projects/123456789012/zones/us-central1-a",
            "machine-type": "projects/123456789012/machineTypes/a3-highgpu-8g",
            "scheduling/preemptible": "TRUE",
        }

    def set(self, key: str, value: str) -> None:
        with self.changed:
            self.values[key] = value
            self.changed.notify_all()

    def etag(self, key: str) -> str:
        return f"{hash((key, self.values[key])) & 0xFFFFFFFFFFFFFFFF:016x}"


class AzureHandler(Handler):
    def answer(self, method: str, path: str, query: dict[str, str]) -> None:
        server = cast(AzureServer, self.server)
        version = query.get("api-version")
        if method != "GET":
            self.reply(405)
        elif self.headers.get("Metadata", "").lower() != "true" or "X-Forwarded-For" in self.headers:
            self.reply(400, '{"error":"Bad request. Required metadata header not specified"}', "application/json")
        elif path == "/metadata/instance/compute/name" and version == "2021-02-01" and query.get("format") == "text":
            self.reply(200, server.machine)
        elif path == "/metadata/instance/compute" and version == "2021-02-01":
            self.reply(200, json.dumps(server.compute), "application/json")
        elif path == "/metadata/scheduledevents" and version == "2020-07-01":
            server.first_call.wait()
            document = {"DocumentIncarnation": len(server.events), "Events": server.events}
            self.reply(200, json.dumps(document), "application/json")
        elif path.startswith("/metadata/"):
            self.reply(400, '{"error":"Bad request. api-version is invalid or was not specified"}', "application/json")
        else:
            self.reply(404)


class AzureServer(MetadataServer):
    """Azure's instance metadata service."""

    handler = AzureHandler

    def __init__(self, port: int = 0, machine: str = "trainer_0") -> None:
        super().__init__(port)
        self.machine = machine
        self.compute: dict[str, object] = {
            "name": machine,
            "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
            "vmSize": "Standard_ND96isr_H100_v5",
            "location": "eastus",
            "zone": "1",
            "priority": "Spot",
            "isHostCompatibilityLayerVm": "false",
        }
        self.events: list[dict[str, object]] = []
        self.first_call = threading.Event()
        """Until it is set, scheduled events are not answered: switching them on takes the real service a while."""
        self.first_call.set()

    def schedule(self, kind: str, after: float | None = 30.0, machines: list[str] | None = None) -> None:
        """Announce an event, `after` seconds from now by the service's clock; None: it has begun."""
        begins = "" if after is None else format_datetime(self.now + timedelta(seconds=after), usegmt=True)
        self.events.append(
            {
                "EventId": secrets.token_hex(16).upper(),
                "EventType": kind,
                "ResourceType": "VirtualMachine",
                "Resources": [self.machine] if machines is None else machines,
                "EventStatus": "Started" if after is None else "Scheduled",
                "NotBefore": begins,
                "Description": "",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
        )


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
