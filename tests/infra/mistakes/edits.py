"""Ways to change a resource before it is made."""

import json
from collections.abc import Callable
from typing import Any

from infra.policies import document
from tests.infra.emulation.engine import Declared

Edit = Callable[[Declared], None]


def put(**values: Any) -> Edit:
    return lambda resource: resource.inputs.update(values)


def without(*fields: str) -> Edit:
    def edit(resource: Declared) -> None:
        for field in fields:
            resource.inputs.pop(field)

    return edit


def forget(resource: Declared) -> None:
    resource.dropped = True


def in_statement(sid: str, change: Callable[[dict[str, Any]], Any]) -> Edit:
    """Change one statement of a resource's policy."""

    def edit(resource: Declared) -> None:
        statements = json.loads(resource.inputs["policy"])["Statement"]
        for statement in statements:
            if statement["Sid"] == sid:
                change(statement)
        resource.inputs["policy"] = document(*statements)

    return edit


def statement(sid: str, **values: Any) -> Edit:
    return in_statement(sid, lambda found: found.update(values))


def without_statement(sid: str) -> Edit:
    def edit(resource: Declared) -> None:
        statements = json.loads(resource.inputs["policy"])["Statement"]
        resource.inputs["policy"] = document(*(found for found in statements if found["Sid"] != sid))

    return edit


def in_rule(identifier: str, change: Callable[[Any], None]) -> Edit:
    """Change one lifecycle rule of a bucket."""
    return lambda resource: change(next(rule for rule in resource.inputs["rules"] if rule["id"] == identifier))


def without_rule(identifier: str) -> Edit:
    def edit(resource: Declared) -> None:
        resource.inputs["rules"] = [rule for rule in resource.inputs["rules"] if rule["id"] != identifier]

    return edit


def encryption(**values: Any) -> Edit:
    return lambda resource: resource.inputs["rules"][0].update(values)


def role_open_to(principal: Any) -> Edit:
    trust = document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    return put(assume_role_policy=trust)
