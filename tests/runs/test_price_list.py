"""A run's price list: the price of the machine that it got, among all that it might have got."""

from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.errors import DataError
from cortex.runs.price_list import Offer, PriceList

EAST = Offer(cloud="aws", region="us-east-1", instance_type="p5.48xlarge", spot=True, dollars_per_hour=30.0)
ZONE = EAST.model_copy(update={"zone": "us-east-1b", "dollars_per_hour": 28.0})
ON_DEMAND = EAST.model_copy(update={"spot": False, "dollars_per_hour": 98.0})
PRICES = PriceList(taken=1.0, offers=(EAST, ZONE, ON_DEMAND))


@pytest.mark.parametrize(
    ("zone", "spot", "price"),
    [("us-east-1b", True, 28.0), ("us-east-1a", True, 30.0), (None, True, 30.0), ("us-east-1b", False, 98.0)],
)
def test_a_machine_costs_what_its_zone_asks_or_its_region(zone: str | None, spot: bool, price: float) -> None:
    assert PRICES.dollars_per_hour("aws", "us-east-1", zone, "p5.48xlarge", spot) == price


def test_of_two_prices_of_one_type_the_dearest_counts() -> None:
    cheap, dear = (
        Offer(
            cloud="gcp",
            region="us-central1",
            instance_type="n1-standard-8",
            accelerators=gpus,
            spot=True,
            dollars_per_hour=dollars,
        )
        for gpus, dollars in (("T4:1", 0.2), ("V100:1", 0.9))
    )
    for offers in ((cheap, dear), (dear, cheap)):
        found = PriceList(taken=1.0, offers=offers).find("gcp", "us-central1", "us-central1-a", "n1-standard-8", True)
        assert found == dear


def test_what_the_list_does_not_have_has_no_price() -> None:
    assert PRICES.dollars_per_hour("aws", "eu-west-1", None, "p5.48xlarge", True) is None
    assert PRICES.dollars_per_hour("gcp", "us-east-1", None, "p5.48xlarge", True) is None
    assert PRICES.highest == 98.0
    assert PriceList(taken=1.0, offers=()).highest is None


def test_it_is_kept_with_the_run(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert PriceList.read(store, "r") is None
    PRICES.write(store, "r")
    assert PriceList.read(store, "r") == PRICES
    newer = PriceList(taken=2.0, offers=(EAST,))
    newer.write(store, "r")
    assert PriceList.read(store, "r") == newer


def test_what_is_no_price_list_is_named(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put("runs/r/prices.json", b'{"taken": 1.0, "offers": [{"cloud": "aws"}]}')
    with pytest.raises(DataError, match=r"runs/r/prices\.json: offers\.0\.region: .* launch the run again"):
        PriceList.read(store, "r")
