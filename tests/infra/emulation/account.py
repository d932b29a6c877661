"""One account of the emulated AWS, and the spelling of its resources."""

from functools import cache
from typing import Any

import boto3
import moto.core.models  # noqa: F401 - a session that is made before this is imported asks the real AWS

SESSION = boto3.Session()
"""One session for all: it keeps the description of each service, which takes longest to read."""

Inputs = dict[str, Any]
"""A resource's arguments, in snake case; `tags` is always there."""

Made = tuple[str, Inputs]
"""A made resource's identifier, and the outputs that its arguments do not hold."""


class Account:
    """The account in which resources are made."""

    def __init__(self, region: str, account: str) -> None:
        self.region, self.account = region, account

    def client(self, service: str, region: str | None = None) -> Any:
        return _client(service, region or self.region)


def pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def tags(inputs: Inputs, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in inputs["tags"].items()]


@cache
def _client(service: str, region: str) -> Any:
    """Keep each client: making it costs more than all its calls here. moto answers old clients, too."""
    return SESSION.client(service, region_name=region)  # type: ignore[call-overload]
