"""The watch as a whole: its start and end, and services that fail."""

import time
from contextlib import ExitStack

import pytest

from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.notice import Watch
from tests.artifacts.faulty import free_port
from tests.runs.metadata_server import AwsServer, AzureServer, GcpServer, MetadataServer
from tests.runs.watching import (
    HTML,
    RUBBISH,
    announce,
    black_hole,
    never,
    noticed,
    often,
    polled,
    sources,
    wait,
    watching_threads,
    writing,
)


@pytest.mark.parametrize(("cloud", "item"), [(AwsServer, "action"), (GcpServer, "preempted"), (AzureServer, "events")])
def test_rubbish_is_warned_of_once_and_the_next_good_answer_is_taken(
    cloud: type[MetadataServer], item: str, log: list[str]
) -> None:
    with cloud() as server, Watch(sources(server)) as watch:
        wait(lambda: [line for line in server.asked if item in line])
        with server.breaking(item, writing(HTML)):
            if isinstance(server, GcpServer):
                # Ends the question that the server holds; the next one is broken.
                server.set("preempted", "FALSE\n")
            polled(server, item)
        assert watch.notice is None
        announce(server)
        noticed(watch)
    assert len([line for line in log if line.startswith("WARNING")]) == 1


def test_a_service_that_hangs_is_asked_again(aws: AwsServer, log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.runs.metadata.aws.TIMEOUT", 0.2)
    with Watch(sources(aws)) as watch:
        polled(aws, "instance-action")
        with aws.breaking("instance-action", never):
            polled(aws, "instance-action", times=2)
        aws.interrupt()
        noticed(watch)
    assert len([line for line in log if line.startswith("WARNING")]) == 1


def test_a_service_that_disappears_is_asked_until_it_is_back(log: list[str]) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(AwsServer())
        watch = Watch(sources(first))
        with watch:
            polled(first, "instance-action")
            stack.close()
            wait(lambda: [line for line in log if "takes no connection" in line])
            with AwsServer(first.server_port) as second:
                second.interrupt()
                noticed(watch)
    # The question under way may have ended in another way; but nothing is reported twice.
    assert len(log) == len(set(log))


def test_on_a_machine_where_nothing_answers_the_watch_ends_at_once(log: list[str]) -> None:
    with Watch(often(Endpoints(*[f"http://127.0.0.1:{free_port()}"] * 3))) as watch:
        assert wait(lambda: not watching_threads()) < 1
        assert watch.notice is None
    assert not log


def test_where_packets_are_swallowed_the_watch_ends_within_a_second(log: list[str]) -> None:
    with black_hole() as url:
        begun = time.monotonic()
        with Watch(often(Endpoints(url, url, url))):
            assert time.monotonic() - begun < 0.6, "starting does not wait"
            assert wait(lambda: not watching_threads()) < 1.4
    assert not log


@pytest.mark.parametrize("cloud", [AwsServer, GcpServer, AzureServer])
def test_a_service_that_fails_at_first_is_asked_until_it_answers(cloud: type[MetadataServer], log: list[str]) -> None:
    with cloud() as server, ExitStack() as broken:
        broken.enter_context(server.breaking("", writing(RUBBISH["503"])))
        with Watch(sources(server)) as watch:
            wait(lambda: [line for line in log if "answered 503" in line])
            broken.close()
            announce(server)
            noticed(watch)


def test_a_service_that_is_silent_at_first_is_asked_until_it_answers(aws: AwsServer, log: list[str]) -> None:
    with ExitStack() as broken:
        broken.enter_context(aws.breaking("token", never))
        with Watch(sources(aws)):
            wait(lambda: [line for line in log if "hop limit" in line])
            broken.close()
            wait(lambda: [line for line in log if "watching AWS" in line])
    assert len(log) == 2


def test_leaving_breaks_off_questions_that_are_held_and_leaves_no_thread(gcp: GcpServer, azure: AzureServer) -> None:
    azure.first_call.clear()
    with Watch([*sources(gcp), *sources(azure)]):
        wait(lambda: len([line for line in gcp.asked if "wait_for_change" in line]) == 2)
        wait(lambda: [line for line in azure.asked if "scheduledevents" in line])
        begun = time.monotonic()
    assert time.monotonic() - begun < 1.5
    assert not watching_threads()
    azure.first_call.set()


def test_a_watch_asks_where_the_environment_says(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url)
    monkeypatch.setenv("GCE_METADATA_HOST", aws.url.removeprefix("http://"))
    aws.interrupt()
    with Watch() as watch:
        noticed(watch)
