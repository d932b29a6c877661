"""The machine's identity, asked of each cloud's metadata service, and of services that misbehave."""

import platform
import time
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import pytest

from cortex.clock import steady_time
from cortex.runs.machine import Machine, identify
from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.metadata.metadata_source import Identity
from cortex.runs.price_list import Offer, PriceList
from tests.artifacts.faulty import free_port
from tests.runs.metadata_server import AwsServer, AzureServer, GcpServer
from tests.runs.watching import RUBBISH, black_hole, never, writing

NOW = 1_800_000_000.0
LAUNCHED = datetime.fromtimestamp(NOW, UTC) - timedelta(minutes=4)

PRICES = PriceList(
    taken=NOW,
    offers=(
        Offer(
            cloud="aws",
            region="us-east-1",
            zone="us-east-1b",
            instance_type="p5.48xlarge",
            accelerators="H100:8",
            spot=True,
            dollars_per_hour=31.5,
        ),
        Offer(cloud="aws", region="us-east-1", instance_type="p5.48xlarge", spot=False, dollars_per_hour=98.25),
        Offer(cloud="gcp", region="us-central1", instance_type="a3-highgpu-8g", spot=True, dollars_per_hour=24.0),
    ),
)


def at(aws: str | None = None, gcp: str | None = None, azure: str | None = None) -> list[Identity]:
    return Endpoints(aws, gcp, azure).identities()


def test_an_instance_of_aws_is_known_with_its_price_since_its_launch(aws: AwsServer) -> None:
    aws.rent(LAUNCHED)
    assert identify(at(aws=aws.url), NOW, PRICES) == Machine(
        id="i-0123456789abcdef0",
        since=NOW - 240,
        cloud="aws",
        region="us-east-1",
        zone="us-east-1b",
        instance_type="p5.48xlarge",
        accelerators="H100:8",
        spot=True,
        dollars_per_hour=31.5,
    )
    aws.rent(LAUNCHED, spot=False)
    assert identify(at(aws=aws.url), NOW, PRICES).dollars_per_hour == 98.25


@pytest.mark.parametrize("days", [-400, -1, -0.01, 0, 0.01, 1, 400])
def test_a_machine_whose_clock_is_wrong_costs_from_its_launch_by_the_clouds(days: float, aws: AwsServer) -> None:
    aws.skew = timedelta(days=days)
    launched = aws.now - timedelta(minutes=4)
    aws.rent(launched)
    now = steady_time()
    found = identify(at(aws=aws.url), now, PRICES)
    assert found.since == pytest.approx(launched.timestamp(), abs=1)
    sign = found.sign_of_life(now + 60)
    assert sign["seconds"] == pytest.approx(300, abs=5) and sign["until"] == pytest.approx(sign["since"] + 300, abs=5)


def test_a_launch_later_than_its_program_is_another_clock_s_and_shortens_nothing(aws: AwsServer) -> None:
    aws.rent(LAUNCHED + timedelta(hours=1))
    assert identify(at(aws=aws.url), NOW, PRICES).since == NOW


@pytest.mark.parametrize(("up", "since"), [(420.0, NOW - 420), (3599.0, NOW - 3599), (86400.0, NOW)])
def test_a_machine_whose_cloud_tells_no_launch_costs_from_its_boot_unless_it_was_up_for_long(
    up: float, since: float, gcp: GcpServer, azure: AzureServer
) -> None:
    for asked in (at(gcp=gcp.url), at(azure=azure.url)):
        assert identify(asked, NOW, PRICES, up=lambda: up).since == since


def test_a_launch_that_the_cloud_tells_goes_before_the_boot(aws: AwsServer) -> None:
    aws.rent(LAUNCHED)
    assert identify(at(aws=aws.url), NOW, PRICES, up=lambda: 5.0).since == LAUNCHED.timestamp()


def test_a_machine_of_google_cloud_says_what_it_is(gcp: GcpServer) -> None:
    found = identify(at(gcp=gcp.url), NOW, PRICES, up=lambda: 86400.0)
    assert (found.id, found.cloud, found.region, found.zone) == (
        "4520031799277581759",
        "gcp",
        "us-central1",
        "us-central1-a",
    )
    assert (found.instance_type, found.spot, found.since, found.dollars_per_hour) == ("a3-highgpu-8g", True, NOW, 24.0)


def test_a_machine_of_azure_that_the_list_lacks_costs_as_the_dearest(azure: AzureServer, log: list[str]) -> None:
    found = identify(at(azure=azure.url), NOW, PRICES)
    assert (found.cloud, found.region, found.zone, found.spot) == ("azure", "eastus", "1", True)
    assert (found.instance_type, found.dollars_per_hour) == ("Standard_ND96isr_H100_v5", 98.25)
    assert "counts as $98.25/h" in log[-1]


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_each_cloud_is_found_where_all_are_asked_at_one_address(
    cloud: str, aws: AwsServer, gcp: GcpServer, azure: AzureServer
) -> None:
    aws.rent()
    url = {"aws": aws, "gcp": gcp, "azure": azure}[cloud].url
    assert identify(at(url, url, url), NOW, None).cloud == cloud


@pytest.mark.parametrize(("prices", "dollars"), [(None, 0.0), (PRICES, 98.25)])
def test_where_no_cloud_answers_it_is_the_host(prices: PriceList | None, dollars: float, log: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    begun = time.monotonic()
    found = identify(at(url, url, url), NOW, prices)
    assert time.monotonic() - begun < 0.5
    assert found == Machine(platform.node(), NOW, dollars_per_hour=dollars)
    assert not log


def test_where_packets_are_swallowed_it_is_the_host_within_two_seconds() -> None:
    with black_hole() as url:
        begun = time.monotonic()
        assert identify(at(url, url, url), NOW, None).cloud is None
        assert time.monotonic() - begun < 1.6


@pytest.mark.parametrize("rubbish", RUBBISH)
@pytest.mark.parametrize("item", ["identity", "life-cycle"])
def test_rubbish_from_a_service_never_gets_out(item: str, rubbish: str, aws: AwsServer) -> None:
    aws.rent()
    with aws.breaking(item, writing(RUBBISH[rubbish])):
        found = identify(at(aws=aws.url), NOW, None, seconds=0.3)
    assert found.cloud in {None, "aws"}


def test_a_service_that_hangs_is_left_in_time(aws: AwsServer, log: list[str]) -> None:
    aws.rent()
    with aws.breaking("identity", never):
        begun = time.monotonic()
        assert identify(at(aws=aws.url), NOW, None, seconds=0.5).cloud is None
        assert time.monotonic() - begun < 1
    assert "goes by its host name" in log[-1]


def test_a_service_that_fails_for_a_moment_is_asked_again(aws: AwsServer) -> None:
    aws.rent()
    answers = iter([writing(RUBBISH["503"])])

    def fail_once(wire: BinaryIO) -> None:
        next(answers)(wire)
        aws.mend()

    aws.break_at("token", fail_once)
    assert identify(at(aws=aws.url), NOW, None).cloud == "aws"
