"""A run's secret: it authenticates the run's checkpoints and profile by codes that only its holders can make.

Anybody who may write to the bucket can put a checkpoint there, or another profile. The codes show which ones come from
this run's own machines and from the machine that launched it. The secret is derived from a key in `CORTEX_HOME`, which
never leaves that machine. A rented machine gets its own run's secret alone, as a secret variable of its task.
"""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from cortex.artifacts.creating import create
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import ConfigError, RefusedError
from cortex.profiles.profile import Profile
from cortex.settings import Settings

SECRET_VARIABLE = "CORTEX_RUN_SECRET"
DIGEST_VARIABLE = "CORTEX_PROFILE_DIGEST"

KEY_FILE = "run-key"
"""The key's file in `CORTEX_HOME`, with mode 0600. With a copy of it, another laptop can continue the same runs."""

KEY_BYTES = 32

BOUND = "bound.json"
"""An object in a run's folder with codes by which its machines recognize its secret and its profile. Written once."""

_OBJECT = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True)
class RunSecret:
    """The secret of one run."""

    run: str
    value: str = field(repr=False)

    @classmethod
    def of(cls, run: str, settings: Settings) -> "RunSecret":
        """The secret that this machine was given, or else the one derived from this machine's own key.

        Raises:
            ConfigError: the key cannot be read or made.
        """
        given = settings.run_secret
        if given is not None:
            return cls(run, given.get_secret_value())
        derived = hmac.new(_read_key(settings.home / KEY_FILE), f"cortex run secret\n{run}".encode(), hashlib.sha256)
        return cls(run, derived.hexdigest())

    def code(self, *words: str) -> str:
        """The authentication code of some words; the first should name their purpose."""
        text = json.dumps([self.run, *words], ensure_ascii=True).encode()  # a list keeps the words apart
        return hmac.new(self.value.encode(), text, hashlib.sha256).hexdigest()

    def verifies(self, code: JsonValue, *words: str) -> bool:
        """Tell if the code of these words was made with this secret."""
        return isinstance(code, str) and hmac.compare_digest(code.encode(), self.code(*words).encode())


def bind_run(store: Store, secret: RunSecret, profile: Profile, expected: str | None = None) -> None:
    """Bind a run to its secret and its profile, or check that it is bound to these.

    `expected` is the digest of the profile that the run was launched with, if the launcher gave it.

    Raises:
        RefusedError: the profile in the bucket is not the one that the run was begun with, or this machine does not
            hold the run's secret.
    """
    run = secret.run
    if expected is not None and profile.digest != expected:
        raise RefusedError(
            f"{store.url}/runs/{run}/profile.json is not the profile that run {run} was launched with "
            f"({profile.digest[:12]}, not {expected[:12]}): somebody replaced it; restore its older version, then "
            f"`cortex resume {run}`"
        )
    bound = _read_binding(store, secret, profile)
    if not secret.verifies(bound.get("secret"), "secret"):
        raise RefusedError(
            f"run {run} was begun with another secret than this machine's: copy the file {KEY_FILE} from CORTEX_HOME "
            f"of the machine that launched it into CORTEX_HOME here, or start a new run; a task in a cloud needs "
            f"{SECRET_VARIABLE} among its secrets"
        )
    if not secret.verifies(bound.get("profile"), "profile", profile.digest):
        raise RefusedError(
            f"{store.url}/runs/{run}/profile.json is not the profile that run {run} was begun with: somebody replaced "
            "it; restore its older version, or start a new run"
        )


def _read_binding(store: Store, secret: RunSecret, profile: Profile) -> dict[str, JsonValue]:
    """The run's binding in the bucket, created if there is none; empty if it cannot be parsed."""
    key = f"runs/{secret.run}/{BOUND}"
    try:
        data = store.get(key)
    except MissingObjectError:
        ours = {"secret": secret.code("secret"), "profile": secret.code("profile", profile.digest)}
        create(store, key, json.dumps(ours, sort_keys=True).encode())
        data = store.get(key)
    try:
        return _OBJECT.validate_json(data)
    except ValidationError:
        return {}


def _read_key(path: Path) -> bytes:
    """The key of this machine, made if there is none."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, path)  # fails if another program made a key at the same moment
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: the key of this machine's runs cannot be read or made: {error}") from error
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{path} holds no key of {KEY_BYTES} bytes in hexadecimal: bring back the file that was there; without it, "
            "runs that were begun here cannot go on"
        )
    return key
