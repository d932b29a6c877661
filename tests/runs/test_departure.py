"""A stage with notice of its machine's end stays until then, where SkyPilot would otherwise never recover it."""

import time

import pytest

from cortex.errors import PreemptedError
from cortex.runs import departure
from cortex.runs.departure import MANAGED, stay_until_taken
from cortex.runs.notice import SIGTERM, Notice

MANAGED_JOB = {MANAGED: "sky-2026-01-01_r1"}


def left(notice: Notice) -> PreemptedError:
    error = PreemptedError("sft: the trainer left")
    error.gone_by = notice.gone_by
    return error


def seconds(error: PreemptedError, environment: dict[str, str]) -> float:
    started = time.monotonic()
    stay_until_taken(error, environment)
    return time.monotonic() - started


def test_it_stays_until_a_while_after_the_announced_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "GRACE", 0.2)
    notice = Notice("aws spot instance-action", time.monotonic() + 0.3, "AWS will terminate this instance")
    assert 0.45 <= seconds(left(notice), MANAGED_JOB) < 5


def test_it_goes_at_once_where_nobody_would_come_back_or_nobody_has_said_when() -> None:
    soon = time.monotonic() + 30
    assert seconds(left(Notice("gcp preempted", soon, "")), {}) < 1
    assert seconds(left(Notice(SIGTERM, soon, "")), MANAGED_JOB) < 1
    assert seconds(PreemptedError("publishing was stopped"), MANAGED_JOB) < 1


def test_skypilot_names_its_jobs_by_that_variable() -> None:
    from sky.skylet import constants

    assert constants.TASK_ID_ENV_VAR == MANAGED
