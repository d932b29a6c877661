"""Google Cloud's notices: a strict server that holds a question until the value changes."""

import time

import pytest

from cortex.runs.metadata.metadata_client import MetadataError
from cortex.runs.notice import Watch
from tests.runs.metadata_server import GcpServer
from tests.runs.watching import INTERVAL, answer, left, noticed, sources, wait, writing


@pytest.mark.parametrize(
    ("key", "value", "source"),
    [
        ("preempted", "TRUE", "gcp preempted"),
        ("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE", "gcp maintenance-event"),
    ],
)
def test_a_change_is_noticed_while_the_question_is_held(gcp: GcpServer, key: str, value: str, source: str) -> None:
    with Watch(sources(gcp)) as watch:
        wait(lambda: [line for line in gcp.asked if key in line and "wait_for_change" in line])
        gcp.set("maintenance-event" if key == "preempted" else key, "MIGRATE_ON_HOST_MAINTENANCE")
        time.sleep(3 * INTERVAL)
        assert watch.notice is None
        asked = len(gcp.asked)
        gcp.set(key, value)
        assert wait(lambda: watch.notice) < 2
        notice = noticed(watch)
        assert len(gcp.asked) - asked < 10
    assert notice.source == source
    assert 24 < left(notice) <= 25
    assert not gcp.refused


def test_a_machine_that_is_already_being_preempted_is_noticed(gcp: GcpServer) -> None:
    gcp.set("preempted", "TRUE")
    with Watch(sources(gcp)) as watch:
        assert 24 < left(noticed(watch)) <= 25


def test_a_notice_that_is_repeated_keeps_the_deadline_it_had_when_it_was_first_seen(gcp: GcpServer) -> None:
    gcp.set("preempted", "TRUE")
    with Watch(sources(gcp)) as watch:
        first = noticed(watch)
        gcp.set("preempted", "FALSE")
        time.sleep(2 * INTERVAL)
        gcp.set("preempted", "TRUE")
        time.sleep(2 * INTERVAL)
        assert watch.notice == first


def test_an_answer_that_lacks_googles_own_header_is_not_taken_for_googles(gcp: GcpServer) -> None:
    (preempted, _) = sources(gcp)
    with gcp.breaking("preempted", writing(answer(b"TRUE", headers=""))), pytest.raises(MetadataError, match="header"):
        list(preempted.ask())
