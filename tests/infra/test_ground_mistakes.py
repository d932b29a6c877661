"""Each mistake is planted in the real program, and its check must fail."""

import pytest

pytest.importorskip("pulumi", reason="the infra environment is not installed: images/infra/requirements.lock")

from botocore.exceptions import ClientError

from tests.infra.emulation.engine import Declared
from tests.infra.mistakes import MISTAKES, Mistake
from tests.infra.world import bring_up, emulated_cloud

CAUGHT = (AssertionError, pytest.fail.Exception, ClientError)
"""Errors of a check when the stack is wrong; ClientError where a resource is missing or the call is not allowed."""


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title.replace(" ", "-"))
def test_it_is_caught(mistake: Mistake) -> None:
    changed: list[str] = []

    def change(resource: Declared) -> None:
        before = repr(resource)
        mistake.plant(resource)
        if repr(resource) != before:
            changed.append(resource.name)

    with emulated_cloud(managed_policies=mistake.with_managed_policies):
        world = bring_up(change=change)
        assert changed, "the program declares nothing that this mistake could change"
        with pytest.raises(CAUGHT):
            mistake.caught_by(world)
