"""A planted mistake, and the check that must catch it."""

from dataclasses import dataclass

from tests.infra.checks import Check
from tests.infra.emulation.engine import Declared
from tests.infra.mistakes.edits import Edit


@dataclass(frozen=True)
class Mistake:
    """A change to every declared resource of one kind (and name), and the check that notices it."""

    title: str
    kind: str
    edit: Edit
    caught_by: Check
    name: str | None = None
    with_managed_policies: bool = False

    def plant(self, resource: Declared) -> None:
        if resource.type.endswith(f":{self.kind}") and self.name in (None, resource.name):
            self.edit(resource)
