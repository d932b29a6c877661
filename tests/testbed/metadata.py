"""The metadata service of every machine, as on EC2: version 2, with tokens, at 169.254.169.254.

A machine is known by the address that it asks from. Its spot notice appears here first.
Source: "Use instance metadata" and "Spot Instance interruption notices" in the EC2 User Guide.
"""

import json
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.testbed.cloud import KEY, ROLE
from tests.testbed.machine import Order
from tests.testbed.network import METADATA

TOKEN = "X-aws-ec2-metadata-token"
LIFETIME = f"{TOKEN}-ttl-seconds"
LONGEST = 21600


class Metadata:
    """The running machines, their notices and tokens."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._noticed: dict[str, tuple[datetime, datetime]] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def add(self, order: Order) -> None:
        with self._lock:
            self._orders[order.address] = order

    def remove(self, order: Order) -> None:
        with self._lock:
            self._orders.pop(order.address, None)
            self._noticed.pop(order.id, None)

    def give_notice(self, order: Order, at: datetime) -> None:
        """Tell a machine that it will be taken away at a given time."""
        with self._lock:
            self._noticed[order.id] = (datetime.now(UTC), at)

    def new_token(self, address: str, seconds: int) -> str:
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens[token] = (address, time.monotonic() + seconds)
        return token

    def allows(self, address: str, token: str | None) -> bool:
        """True where the token is this machine's, and still valid."""
        with self._lock:
            holder, end = self._tokens.get(token or "", ("", 0.0))
        return holder == address and time.monotonic() < end

    def read(self, address: str, path: str) -> str | None:
        """The text at a path below `/latest/`; None where there is nothing."""
        with self._lock:
            order = self._orders.get(address)
            noticed = self._noticed.get(order.id) if order else None
        if order is None:
            return None
        entries = _entries(order)
        if noticed:
            given, at = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in noticed)
            entries["meta-data/spot/instance-action"] = json.dumps({"action": "terminate", "time": at})
            entries["meta-data/spot/termination-time"] = at
            entries["meta-data/events/recommendations/rebalance"] = json.dumps({"noticeTime": given})
        return entries.get(path.strip("/"))


def serve(metadata: Metadata) -> ThreadingHTTPServer:
    """Answer machines from a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seconds = self.headers.get(LIFETIME, "")
            if self.path != "/latest/api/token":
                self._answer(HTTPStatus.NOT_FOUND)
            elif not seconds.isdecimal() or not 1 <= int(seconds) <= LONGEST:
                self._answer(HTTPStatus.BAD_REQUEST)
            else:
                self._answer(
                    HTTPStatus.OK, metadata.new_token(self.client_address[0], int(seconds)), {LIFETIME: seconds}
                )

        def do_GET(self) -> None:
            address = self.client_address[0]
            if not metadata.allows(address, self.headers.get(TOKEN)):
                self._answer(HTTPStatus.UNAUTHORIZED)
                return
            found = metadata.read(address, self.path.removeprefix("/latest/"))
            self._answer(HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK, found or "")

        def _answer(self, status: HTTPStatus, text: str = "", headers: dict[str, str] | None = None) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in {"Content-Type": "text/plain", "Content-Length": len(body), **(headers or {})}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((METADATA, 80), Handler)
    threading.Thread(target=server.serve_forever, name="metadata", daemon=True).start()
    return server


def _entries(order: Order) -> dict[str, str]:
    life_cycle = "spot" if order.spot else "on-demand"
    identity = {
        "instanceId": order.id,
        "instanceType": order.type,
        "region": order.region,
        "availabilityZone": order.zone,
        "pendingTime": order.launched.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": order.private,
    }
    return {
        "meta-data/instance-id": order.id,
        "meta-data/instance-type": order.type,
        "meta-data/instance-life-cycle": life_cycle,
        "meta-data/local-ipv4": order.private,
        **({"meta-data/public-ipv4": order.public} if order.public else {}),
        "meta-data/placement/region": order.region,
        "meta-data/placement/availability-zone": order.zone,
        "meta-data/iam/security-credentials": ROLE,
        f"meta-data/iam/security-credentials/{ROLE}": json.dumps(_credentials()),
        "dynamic/instance-identity/document": json.dumps(identity),
    }


def _credentials() -> dict[str, str]:
    """Credentials of the account's role, which a machine gets from this service alone."""
    now = datetime.now(UTC)
    moments = {"LastUpdated": now, "Expiration": now + timedelta(hours=6)}
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": KEY,
        "SecretAccessKey": KEY,
        "Token": KEY,
        **{name: moment.strftime("%Y-%m-%dT%H:%M:%SZ") for name, moment in moments.items()},
    }
