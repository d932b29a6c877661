"""Query to an image registry for an image by digest, over the OCI distribution protocol.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md and, for tokens,
https://distribution.github.io/distribution/spec/auth/token/
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from cortex.errors import ConfigError, CortexError, RefusedError
from cortex.fleet.clouds import aws_api
from cortex.limits import ANSWER_BYTES, KIB, read_json

_REFERENCE = re.compile(r"(?P<host>[^/]+)/(?P<repository>[^@]+?)(:[^/@]+)?@(?P<digest>sha256:[0-9a-f]{64})")
_ECR = re.compile(r"\d+\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')

_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

Login = tuple[str, str]
"""A name and its password."""


@dataclass(frozen=True)
class Image:
    """An image named by its digest, which always means the same content."""

    host: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, reference: str) -> Self:
        """Parse `host/repository@sha256:...`. Raises ConfigError for any other text."""
        found = _REFERENCE.fullmatch(reference.removeprefix("docker:"))
        if not found:
            raise ConfigError(f"{reference!r} is not <registry>/<repository>@sha256:<digest>: push the images again")
        return cls(found["host"], found["repository"], found["digest"])

    @property
    def url(self) -> str:
        # As in Docker, a registry on this machine needs no certificate.
        scheme = "http" if re.match(r"(localhost|127\.\d+\.\d+\.\d+)(:|$)", self.host) else "https"
        host = "registry-1.docker.io" if self.host == "docker.io" else self.host
        return f"{scheme}://{host}/v2/{self.repository}/manifests/{self.digest}"


def is_there(image: Image, environment: Mapping[str, str]) -> bool:
    """True where the registry has the image, asked with the machines' login: SkyPilot's variables, or Docker's logins.

    Raises:
        RefusedError: the registry does not let us see the image.
        CortexError: the registry does not answer, or its answer is not a registry's.
    """
    import httpx

    try:
        with httpx.Client(timeout=5, follow_redirects=True, headers={"Accept": _ACCEPTED}) as client:
            answer = client.head(image.url)
            if answer.status_code == 401:
                answer = client.head(
                    image.url, headers={"Authorization": _authorization(client, answer, image, environment)}
                )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CortexError(f"registry {image.host} does not answer ({type(error).__name__})") from error
    if answer.status_code in (401, 403):
        raise RefusedError(f"registry {image.host} does not let us see {image.repository} ({answer.status_code})")
    if answer.status_code == 404:
        return False
    if answer.status_code != 200:
        raise CortexError(f"registry {image.host} answers {answer.status_code} for {image.repository}")
    return True


def _authorization(client: Any, challenge: Any, image: Image, environment: Mapping[str, str]) -> str:
    """The `Authorization` header after a 401: the login, or a token got with it (without one, for public images)."""
    kind, _, rest = challenge.headers.get("www-authenticate", "").partition(" ")
    login = _login(image.host, environment)
    if kind.lower() == "bearer":
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.pop("realm", "")
        asked.setdefault("scope", f"repository:{image.repository}:pull")
        with client.stream("GET", realm, params=asked, auth=login) as answer:
            if answer.status_code != 200:
                why = f"for {image.repository} ({answer.status_code})"
                raise RefusedError(f"registry {image.host} gives no token {why}")
            return f"Bearer {_token(_body(answer, image), image)}"
    if login is None:
        raise RefusedError(f"registry {image.host} asks for a login to see {image.repository}")
    return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"


def _body(answer: Any, image: Image) -> bytes:
    """The answer's body, limited in size after decompression."""
    body = bytearray()
    for piece in answer.iter_bytes(64 * KIB):
        body += piece
        if len(body) > ANSWER_BYTES:
            raise CortexError(f"registry {image.host} sends more than {ANSWER_BYTES:,} bytes in place of a token")
    return bytes(body)


def _token(body: bytes, image: Image) -> str:
    try:
        given: object = read_json(body)
    except ValueError:
        given = None
    values = cast(dict[str, object], given) if isinstance(given, dict) else {}
    token = values.get("token") or values.get("access_token")
    # Only the characters that RFC 6750 allows: others may not be sent in a header.
    if not isinstance(token, str) or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise CortexError(f"registry {image.host} sends no token: see that {image.host} is a registry")
    return token


def _login(host: str, environment: Mapping[str, str]) -> Login | None:
    ecr = _ECR.fullmatch(host)
    if ecr:
        return _ecr_login(ecr["region"])
    name, password = environment.get("SKYPILOT_DOCKER_USERNAME"), environment.get("SKYPILOT_DOCKER_PASSWORD")
    if name and password and environment.get("SKYPILOT_DOCKER_SERVER", host) == host:
        return name, password
    folder = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        kept = json.loads((folder / "config.json").read_text(encoding="utf-8"))["auths"][host]["auth"]
        name, _, password = base64.b64decode(kept).decode().partition(":")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name, password


def _ecr_login(region: str) -> Login:
    try:
        given = aws_api.client("ecr", region).get_authorization_token()["authorizationData"][0]["authorizationToken"]
    except aws_api.error_types() as error:
        raise RefusedError(f"ECR in {region} gives no token: {aws_api.describe_error(error)}") from error
    name, _, password = base64.b64decode(given).decode().partition(":")
    return name, password
