"""API keys of gateways: each an object in the bucket that holds the key's hash, never the key."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import DataError, RefusedError, UsageError

PREFIX = "serving/keys"
"""The folder of API keys in a bucket."""

Scope = Literal["domains", "chat", "metrics", "feedback"]
SCOPES: tuple[Scope, ...] = ("domains", "chat", "metrics", "feedback")

_ID = re.compile(r"[0-9a-f]{12}")


class ApiKey(BaseModel):
    """One key, as the bucket holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str = Field(min_length=1, max_length=80)
    """Its holder, for people."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the whole key, which is random and long: nobody can find it by trying."""
    scopes: tuple[Scope, ...] = Field(min_length=1)
    per_minute: int = Field(ge=1, le=1_000_000)
    """Most requests a minute."""
    created: datetime
    revoked: datetime | None = None


def read_scopes(text: str) -> tuple[Scope, ...]:
    """Scopes from their names with commas between.

    Raises:
        UsageError: one of them is none.
    """
    try:
        return TypeAdapter(tuple[Scope, ...]).validate_python([word.strip() for word in text.split(",")])
    except ValidationError as error:
        raise UsageError(f"--scopes {text}: known are {', '.join(SCOPES)}, with commas between") from error


def make_key(name: str, scopes: tuple[Scope, ...], per_minute: int, now: datetime) -> tuple[str, ApiKey]:
    """A new key: its text, which is shown once, and its record."""
    number = secrets.token_hex(6)
    text = f"cortex-{number}-{secrets.token_urlsafe(32)}"
    try:
        return text, ApiKey(
            id=number, name=name, sha256=_digest(text), scopes=scopes, per_minute=per_minute, created=now
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]} {first['input']!r}: {first['msg']}") from error


def write_key(store: Store, key: ApiKey) -> None:
    store.put(f"{PREFIX}/{key.id}.json", key.model_dump_json(indent=1).encode())


def read_keys(store: Store) -> dict[str, ApiKey]:
    """All keys of a bucket by id, the revoked ones included.

    Raises:
        DataError: the bucket does not answer, or holds a record that is none.
    """
    found: dict[str, ApiKey] = {}
    for entry in store.list(PREFIX):
        try:
            key = ApiKey.model_validate_json(store.get(entry.key))
        except MissingObjectError:
            continue  # removed by hand since it was listed
        except ValidationError as error:
            raise DataError(f"{store.url}/{entry.key} is no API key: remove it, and add another") from error
        found[key.id] = key
    return found


def revoke_key(store: Store, number: str, now: datetime) -> ApiKey:
    """Make a key useless, for good.

    Raises:
        UsageError: there is none with this id.
    """
    key = read_keys(store).get(number)
    if key is None:
        raise UsageError(f"no API key {number!r} in {store.url}: list them with `cortex apikey list`")
    revoked = key if key.revoked else key.model_copy(update={"revoked": now})
    write_key(store, revoked)
    return revoked


def require_key(store: Store) -> None:
    """Return if some API key of a bucket counts.

    Raises:
        RefusedError: there is none, so that whoever can reach a gateway could use it.
    """
    if all(key.revoked for key in read_keys(store).values()):
        raise RefusedError(f"{store.url} holds no API key, and a gateway would answer nobody: cortex apikey add <name>")


def find_key(text: str, keys: dict[str, ApiKey]) -> ApiKey | None:
    """The record of a key from its text; None where there is none, or it is revoked."""
    number = text.removeprefix("cortex-")[:12]
    key = keys.get(number) if _ID.fullmatch(number) else None
    if key is None or key.revoked or not hmac.compare_digest(key.sha256, _digest(text)):
        return None
    return key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
