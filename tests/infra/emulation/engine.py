"""The engine's place in tests: every resource that the program declares is made in the emulated AWS.

Pulumi gets the emulated service's real identifiers and ARNs. A type that nothing here makes is an error: it is never
pretended.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pulumi

from tests.infra.emulation.access import Access
from tests.infra.emulation.account import Inputs
from tests.infra.emulation.google import Google
from tests.infra.emulation.machine import Machine
from tests.infra.emulation.network import Network
from tests.infra.emulation.storage import Storage


@dataclass
class Declared:
    """One resource as the program declares it; a planted mistake changes `inputs`, or sets `dropped`."""

    type: str
    name: str
    inputs: Inputs
    provider: str
    dropped: bool = False


Change = Callable[[Declared], None]


class Emulator(Storage, Network, Access, Machine, Google, pulumi.runtime.Mocks):
    """Makes AWS's resources with moto. `change` may tamper with each one before it is made."""

    def __init__(self, region: str, account: str, change: Change | None = None) -> None:
        super().__init__(region, account)
        self.change = change
        self.declared: list[Declared] = []
        self.default_tags: dict[str, str] = {}
        self._regions: dict[str, str] = {}
        """The region of each AWS provider, by the provider's name."""
        # Pulumi registers resources from many threads; moto's services are not thread-safe.
        self._one_at_a_time = threading.RLock()

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        with self._one_at_a_time, self._where(args.provider):
            return getattr(self, _maker(args.token))(_plain(args.args)), []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return None, {}
        with self._one_at_a_time, self._where(args.provider):
            resource = Declared(args.typ, args.name, _plain(args.inputs), args.provider or "")
            if self.change:
                self.change(resource)
            self.declared.append(resource)
            if resource.dropped:
                return f"dropped-{args.name}", {**args.inputs, "arn": f"arn:aws:dropped:::{args.name}"}
            if args.typ == "pulumi:providers:aws":
                self.default_tags = json.loads(resource.inputs.get("default_tags", "{}")).get("tags", {})
                self._regions[args.name] = resource.inputs["region"]
                return args.name, {}
            if args.typ.startswith("aws:"):
                # As in the real provider, a resource's tags win over the provider's default tags.
                resource.inputs["tags"] = {**self.default_tags, **resource.inputs.get("tags", {})}
            identifier, outputs = getattr(self, _maker(args.typ))(resource.inputs)
            return identifier, {**args.inputs, **outputs}

    @contextmanager
    def _where(self, provider: str | None) -> Iterator[None]:
        """Work in the region of a resource's provider, as `urn:pulumi:...::<name>::<id>` names it."""
        home, name = self.region, (provider or "").split("::")[-2:][0]
        self.region = self._regions.get(name, home)
        try:
            yield
        finally:
            self.region = home


class RecordingMonitor(pulumi.runtime.mocks.MockMonitor):
    """Keeps what the engine is told besides a resource's inputs: its protection, its ignored changes, and the resources
    that it waits for."""

    def __init__(self, mocks: pulumi.runtime.Mocks) -> None:
        super().__init__(mocks)
        self.protected: dict[tuple[str, str], bool] = {}
        self.unchanged: dict[tuple[str, str], list[str]] = {}
        self.waits_for: dict[tuple[str, str], set[tuple[str, str]]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's interface
        self.protected[request.type, request.name] = request.protect
        self.unchanged[request.type, request.name] = list(request.ignoreChanges)
        self.waits_for[request.type, request.name] = {_type_and_name(urn) for urn in request.dependencies}
        return super().RegisterResource(request)


def _type_and_name(urn: str) -> tuple[str, str]:
    """Type and name in `urn:pulumi:<stack>::<project>::<its component's type>$<type>::<name>`."""
    *_, kind, name = urn.split("::")
    return kind.rpartition("$")[2], name


def _maker(type_token: str) -> str:
    """A type's maker: `s3_bucket_policy` for `aws:s3/bucketPolicy:BucketPolicy`. The same rule names functions."""
    _, module, name = type_token.split(":")
    return f"{module.partition('/')[0]}_{_snake(name)}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plain(value: Any, inside_map: bool = False) -> Any:
    """Pulumi's inputs in our form: snake-case names (except the keys of a map), whole numbers as integers."""
    if isinstance(value, dict):
        return {
            (k if inside_map else _snake(k)): _plain(v, inside_map=k in ("tags", "labels"))
            for k, v in value.items()
            if v is not None and not k.startswith("__")
        }
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
