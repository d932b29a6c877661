"""A replica that its cloud is about to take away finishes what was begun, and lets load balancers know at once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.runs.metadata_server import AwsServer
from tests.serving.conftest import HELLO, Gateway, events, until

pytestmark = pytest.mark.integration


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """AWS's metadata service, which a gateway asks in place of every cloud's."""
    with AwsServer() as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        monkeypatch.setenv("GCE_METADATA_HOST", server.url.removeprefix("http://"))
        yield server


def test_at_a_notice_requests_in_flight_are_finished_and_no_balancer_sends_more(
    own: Callable[..., Gateway], aws: AwsServer
) -> None:
    gateway = own(spot_notice=True)
    gateway.tell("slow")
    said: list[str] = []

    def ask() -> None:
        said.append(gateway.post("/v1/chat/completions", {**HELLO, "stream": True}).text)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: bool(gateway.asked), "a stream that has begun")
    aws.interrupt()
    until(lambda: gateway.get("/readyz").status_code == 503, "the notice")
    assert gateway.get("/readyz").json()["status"] == "draining"
    thread.join()
    assert events(said[0])[-1] == "[DONE]"
    assert gateway.post("/v1/chat/completions", HELLO).status_code == 200, "until a balancer has noticed"
    assert gateway.said().count("load balancers are to send no more") == 1
    assert gateway.end() == 0


def test_a_setting_leaves_the_cloud_alone(own: Callable[..., Gateway], aws: AwsServer) -> None:
    aws.interrupt()
    gateway = own(spot_notice=False)
    assert gateway.get("/readyz").status_code == 200 and not aws.asked
