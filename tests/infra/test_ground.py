"""The real program, up in an emulated AWS: every check holds, for both kinds of stack."""

from collections.abc import Iterator

import pytest

pytest.importorskip("pulumi", reason="the infra environment is not installed: images/infra/requirements.lock")

from tests.infra.checks import CHECKS, Check
from tests.infra.world import World, bring_up, emulated_cloud


@pytest.fixture(scope="module", params=["us-east-1", "eu-west-1"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with emulated_cloud():
        yield bring_up(region=request.param)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_holds(world: World, check: Check) -> None:
    check(world)
