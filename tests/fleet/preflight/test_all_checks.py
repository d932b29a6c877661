import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.fleet.preflight.all_checks import CHECKS, Check, ask_all
from cortex.fleet.preflight.finding import Finding, failed
from cortex.fleet.preflight.ground import Ground, Place, places
from cortex.profiles.profile import Profile
from cortex.settings import Settings


@pytest.fixture
def ground(profile: Profile) -> Ground:
    return Ground(profile, None, Settings(), [])


def good(name: str, seconds: float = 0.0) -> Check:
    def ask(ground: Ground) -> Finding:
        time.sleep(seconds)
        return Finding(name, True, f"{ground.profile.name} is fine")

    return Check(name, ask)


def raising(name: str, error: Exception, *, needed: bool) -> Check:
    def ask(ground: Ground) -> Finding:
        raise error

    return Check(name, ask, needed=needed)


def test_all_are_asked_at_once_and_told_in_their_order(ground: Ground) -> None:
    started = time.monotonic()
    found = ask_all(ground, [good("slow", 1.0), good("slower", 1.2), good("fast")], 18)
    assert [finding.check for finding in found] == ["slow", "slower", "fast"] and all(finding.ok for finding in found)
    assert time.monotonic() - started < 2.1


def test_what_never_answers_ends_with_the_limit_and_hides_nothing(ground: Ground) -> None:
    silent = [dataclasses.replace(good(name, 60), needed=needed) for name, needed in (("bucket", True), ("hub", False))]
    started = time.monotonic()
    found = ask_all(ground, [*silent, good("other")], 0.5)
    assert time.monotonic() - started < 3
    assert [finding.ok for finding in found] == [False, None, True]
    assert "no answer within" in found[0].detail and "reached from here" in str(found[0].fix)
    assert failed(found) == [found[0]]


def test_one_that_breaks_is_a_finding_like_any_other(ground: Ground) -> None:
    broken = [
        raising(
            "clouds", ConfigError("cannot ask SkyPilot for its clouds: its server is of another version"), needed=True
        ),
        raising("disk", KeyError("what"), needed=False),
    ]
    first, second, third = ask_all(ground, [*broken, good("other")], 18)
    assert first.ok is False and "another version" in first.detail and first.fix
    assert second.ok is None and "KeyError" in second.detail
    assert third.ok


def test_the_limit_leaves_time_within_twenty_seconds_unless_more_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().preflight_seconds <= 16
    monkeypatch.setenv("CORTEX_PREFLIGHT_SECONDS", "60")
    assert Settings().preflight_seconds == 60


def test_each_check_has_a_name_of_its_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("finding", "word"),
    [
        (Finding("a", True, "fine"), "ok"),
        (Finding("a", True, "slow clock", "set it"), "warning"),
        (Finding("a", False, "gone", "push it"), "FAIL"),
        (Finding("a", None, "does not apply"), "skipped"),
    ],
)
def test_a_finding_in_one_word(finding: Finding, word: str) -> None:
    assert finding.word == word


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {Place(None, None)}),
        ({"infra": "aws/us-east-1/us-east-1a"}, {Place("aws", "us-east-1")}),
        ({"infra": "*/us-east-1"}, {Place(None, "us-east-1")}),
        ({"cloud": "AWS", "region": "us-west-2"}, {Place("aws", "us-west-2")}),
        ({"any_of": [{"infra": "aws"}, {"infra": "gcp/us-central1"}]}, {Place("aws"), Place("gcp", "us-central1")}),
        ({"infra": "aws", "ordered": [{"cpus": 4}, {"cpus": 8}]}, {Place("aws")}),
    ],
)
def test_where_a_task_may_run(resources: Mapping[str, Any], expected: set[Place]) -> None:
    assert set(places({"resources": resources})) == expected
