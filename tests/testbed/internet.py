"""All of the internet that the bed has: the two addresses by which SkyPilot sees whether it is online.

SkyPilot's jobs controller counts no machine as lost while both fail. They answer here over HTTPS, with certificates of
an authority that only the bed's programs trust, so that SkyPilot runs as it was released.
"""

import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.testbed.network import PROBED


class Online(BaseHTTPRequestHandler):
    """Answers every probe with success."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_request(self, code: object = None, size: object = None) -> None:
        """Log nothing: the probes come every few seconds for as long as a job runs."""


def serve(authority: Path) -> None:
    """Answer at the probed addresses, and write the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test bed")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)) for address in PROBED]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    pair = authority.with_suffix(".key")
    pair.write_bytes(private + public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    pair.unlink()
    for address in PROBED:
        server = ThreadingHTTPServer((address, 443), Online)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, name=f"internet {address}", daemon=True).start()
    authority.write_bytes(public)
