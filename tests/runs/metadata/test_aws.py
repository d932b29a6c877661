"""AWS's notices: from a strict server, tokens and all, to a deadline."""

import time
from datetime import timedelta

import pytest

from cortex.runs.metadata.aws import Aws
from cortex.runs.notice import Watch
from tests.runs.metadata_server import AwsServer
from tests.runs.watching import INTERVAL, left, noticed, polled, sources, wait


def test_a_spot_interruption_is_noticed_within_the_interval(aws: AwsServer) -> None:
    with Watch(sources(aws)) as watch:
        polled(aws, "instance-action")
        assert watch.notice is None
        aws.interrupt()
        assert wait(lambda: watch.notice) < INTERVAL + 2
        notice = noticed(watch)
    assert notice.source == "aws spot instance-action"
    assert "terminate" in notice.text and "\n" not in notice.text
    assert 107 < left(notice) <= 110
    assert not aws.refused


@pytest.mark.parametrize(("after", "least", "most"), [(None, 108, 110), (60, 47, 50), (5, -1, 0), (3600, 108, 110)])
def test_the_deadline_is_the_named_time_less_a_margin_and_never_beyond_the_promise(
    aws: AwsServer, after: float | None, least: float, most: float
) -> None:
    aws.interrupt("stop", after)
    with Watch(sources(aws)) as watch:
        assert least < left(noticed(watch)) <= most


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_time_is_by_the_clouds_clock_when_this_machines_is_wrong(aws: AwsServer, hours: int) -> None:
    aws.skew = timedelta(hours=hours)
    aws.interrupt(after=60)
    with Watch(sources(aws)) as watch:
        assert 47 < left(noticed(watch)) <= 50


@pytest.mark.parametrize(("hours", "least", "most"), [(-5, -1, 0), (5, 108, 110)])
def test_without_a_clock_to_trust_the_deadline_is_neither_past_nor_beyond_the_promise(
    aws: AwsServer, hours: int, least: float, most: float
) -> None:
    aws.skew, aws.dated = timedelta(hours=hours), False
    aws.interrupt(after=60)
    begun = time.monotonic()
    with Watch(sources(aws)) as watch:
        notice = noticed(watch)
        assert notice.deadline >= begun
        assert least < left(notice) <= most


def test_a_rebalance_recommendation_is_advice_and_no_notice(aws: AwsServer, log: list[str]) -> None:
    aws.rebalance()
    with Watch(sources(aws)) as watch:
        wait(lambda: watch.advice)
        polled(aws, "rebalance")
        assert watch.notice is None
        assert [advice.source for advice in watch.advice] == ["aws rebalance recommendation"]
    assert len([line for line in log if "raised risk" in line]) == 1


def test_tokens_are_renewed_before_they_expire(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Aws, "token_seconds", 3)
    with Watch(sources(aws)) as watch:
        wait(lambda: len(aws.tokens) >= 4)
        aws.interrupt()
        noticed(watch)
    assert not aws.refused


def test_a_refused_token_is_replaced_at_once(aws: AwsServer, log: list[str]) -> None:
    with Watch(sources(aws)) as watch:
        polled(aws, "instance-action")
        aws.tokens.clear()
        aws.interrupt()
        noticed(watch)
    assert set(aws.refused) == {401}
    assert not [line for line in log if line.startswith("WARNING")]
