"""Addresses of the clouds' metadata services; each cloud is told from the others."""

import pytest

from cortex.errors import ConfigError
from cortex.runs.metadata.endpoints import LINK_LOCAL, Endpoints
from cortex.runs.notice import Watch
from tests.runs.metadata_server import AwsServer, AzureServer, GcpServer, MetadataServer
from tests.runs.watching import HTML, announce, answer, noticed, often, sources, wait, watching_threads, writing


@pytest.mark.parametrize("address", ["169.254.169.254", "https://169.254.169.254", "http://", "http://host:port", ""])
def test_an_endpoint_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="give an address such as"):
        Endpoints(azure=address).sources()


def test_endpoints_come_from_the_variables_of_the_clouds_own_libraries() -> None:
    assert Endpoints.from_environment({}) == Endpoints(LINK_LOCAL, LINK_LOCAL, LINK_LOCAL)
    given = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[fd00:ec2::254]/", "GCE_METADATA_HOST": "metadata:8080"}
    assert Endpoints.from_environment(given) == Endpoints("http://[fd00:ec2::254]/", "http://metadata:8080", LINK_LOCAL)
    assert Endpoints.from_environment(given | {"AWS_EC2_METADATA_DISABLED": "True"}).aws is None
    assert len(Endpoints.from_environment(given).sources()) == 5


@pytest.mark.parametrize("cloud", [AwsServer, GcpServer, AzureServer])
def test_at_the_address_that_all_clouds_share_each_is_told_from_the_others(
    cloud: type[MetadataServer], log: list[str]
) -> None:
    with cloud() as server, Watch(often(Endpoints(server.url, server.url, server.url))) as watch:
        wait(lambda: [line for line in log if "watching" in line])
        wait(lambda: len(watching_threads()) == len(sources(server)))
        announce(server)
        noticed(watch)
    assert len(log) == 1


@pytest.mark.parametrize("page", [HTML, answer(b"", "404 Not Found", ""), answer(b"", "302 Found", "Location: /x\r\n")])
def test_a_web_server_at_that_address_is_no_cloud(page: bytes, log: list[str]) -> None:
    with (
        AwsServer() as server,
        server.breaking("", writing(page)),
        Watch(often(Endpoints(server.url, server.url, server.url))),
    ):
        wait(lambda: not watching_threads(), 2)
    assert not log
