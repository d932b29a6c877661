"""The client of metadata services: nothing that comes back from one can harm the run."""

import time
from collections.abc import Generator
from contextlib import suppress
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.runs.metadata.metadata_client import MetadataError, SilentError, parse_date
from cortex.runs.notice import Watch
from tests.runs.metadata_server import AwsServer, AzureServer, Breakage, GcpServer, MetadataServer
from tests.runs.watching import RUBBISH, answer, never, noticed, sources, writing


@pytest.mark.parametrize("name", RUBBISH)
@pytest.mark.parametrize("cloud", [AwsServer, GcpServer, AzureServer])
def test_rubbish_is_an_error_and_no_notice(cloud: type[MetadataServer], name: str) -> None:
    with cloud() as server:
        source = sources(server)[0]
        assert source.probe()
        with server.breaking("", writing(RUBBISH[name])), pytest.raises(MetadataError) as caught:
            list(source.ask())
    assert len(str(caught.value).splitlines()) == 1


def slowly(wire: BinaryIO) -> None:
    """A byte now and then, each well within the time for one."""
    for byte in answer(b"TRUE"):
        wire.write(bytes([byte]))
        wire.flush()
        time.sleep(0.1)


def endlessly(wire: BinaryIO) -> None:
    while True:
        wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("breakage", [never, slowly, endlessly])
def test_a_service_that_does_not_come_to_an_end_is_given_up_in_time(aws: AwsServer, breakage: Breakage) -> None:
    (source, _) = sources(aws)
    assert source.probe()
    begun = time.monotonic()
    with aws.breaking("dynamic", breakage), pytest.raises(SilentError, match=r"did not answer in 0\.5 s"):
        source.request("/latest/dynamic", {}, timeout=0.5)
    assert time.monotonic() - begun < 1.5


@pytest.fixture(scope="module")
def clouds() -> Generator[list[MetadataServer]]:
    with AwsServer() as aws, GcpServer() as gcp, AzureServer() as azure:
        yield [aws, gcp, azure]


@settings(max_examples=50, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.builds(answer, st.binary(max_size=60)),
        st.builds(lambda line, head: b"HTTP/1.1 " + line + b"\r\n" + head, st.binary(max_size=20), st.binary()),
    )
)
def test_whatever_bytes_come_back_they_are_no_notice_and_the_only_error_is_the_clients_own(
    clouds: list[MetadataServer], data: bytes
) -> None:
    for server in clouds:
        source = sources(server)[0]
        with server.breaking("", writing(data)), suppress(MetadataError):
            source.probe()
        assert source.probe()
        with server.breaking("", writing(data)), suppress(MetadataError):
            assert not list(source.ask())


number = st.integers(0, 10**22) | st.integers(0, 60)


@given(
    text=st.text()
    | st.builds("Mon, {} Sep {} {}:{}:00 {}".format, number, number, number, number, st.sampled_from(["GMT", "-0000"]))
    | st.builds("Mon, 19 Sep 2016 18:29:47 +{}".format, number)
)
def test_a_date_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert parse_date(text).tzinfo


def test_no_proxy_is_ever_asked(aws: AwsServer, gcp: GcpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, gcp.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with Watch(sources(aws)) as watch:
        aws.interrupt()
        noticed(watch)
    assert not gcp.asked
