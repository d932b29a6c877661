"""Azure's notices: which events, of which machine, by when."""

import time

import pytest

from cortex.runs.notice import Watch
from tests.runs.metadata_server import AzureServer
from tests.runs.watching import INTERVAL, left, noticed, polled, sources, wait


@pytest.mark.parametrize(
    ("kind", "after", "least", "most"),
    [
        ("Preempt", 30, 22, 25),
        ("Preempt", 20, 12, 15),
        ("Preempt", None, -1, 0),
        ("Preempt", 3600, 24, 25),
        ("Terminate", 3600, 294, 295),
        ("Redeploy", 60, 52, 55),
        ("Reboot", 60, 52, 55),
    ],
)
def test_events_that_end_the_machine_are_noticed(
    azure: AzureServer, kind: str, after: float | None, least: float, most: float
) -> None:
    with Watch(sources(azure)) as watch:
        polled(azure, "scheduledevents")
        azure.schedule(kind, after)
        assert wait(lambda: watch.notice) < INTERVAL + 2
        notice = noticed(watch)
        assert least < left(notice) <= most
    assert notice.source == f"azure {kind}"
    assert not azure.refused


def test_events_of_other_machines_and_pauses_are_no_notice(azure: AzureServer) -> None:
    azure.schedule("Preempt", machines=["another_1"])
    azure.schedule("Freeze")
    with Watch(sources(azure)) as watch:
        wait(lambda: watch.advice)
        polled(azure, "scheduledevents")
        assert watch.notice is None
        assert [advice.source for advice in watch.advice] == ["azure Freeze"]


def test_a_sooner_event_replaces_a_later_one(azure: AzureServer) -> None:
    azure.schedule("Reboot", 900)
    with Watch(sources(azure)) as watch:
        assert noticed(watch).source == "azure Reboot"
        azure.schedule("Preempt", 30)
        wait(lambda: watch.notice and watch.notice.source == "azure Preempt")
        azure.schedule("Redeploy", 600)
        polled(azure, "scheduledevents")
        assert noticed(watch).source == "azure Preempt"


def test_the_first_answer_may_take_longer_than_any_other(azure: AzureServer) -> None:
    azure.first_call.clear()
    azure.schedule("Preempt")
    with Watch(sources(azure)) as watch:
        wait(lambda: [line for line in azure.asked if "scheduledevents" in line])
        time.sleep(0.5)
        azure.first_call.set()
        noticed(watch)
        assert len([line for line in azure.asked if "scheduledevents" in line]) == 1
