"""A bed that is down has left no trace on its host. Named to run last."""

import pytest

from cortex.errors import ConfigError, RefusedError
from tests.testbed.bed import Bed
from tests.testbed.conftest import Inside
from tests.testbed.footprint import Footprint, processes


def test_a_machine_is_apart_from_the_host(inside: Inside) -> None:
    assert "cloud0" in inside.succeed("ip", "-brief", "address")
    assert inside.succeed("sh", "-c", "echo $HOME").strip() == str(inside.bed.place.home)
    assert Footprint.take().network.isdisjoint(inside.succeed("ip", "-oneline", "route").splitlines())


def test_two_beds_cannot_share_a_folder(bed: Bed) -> None:
    with pytest.raises(RefusedError, match="is up already"):
        bed.up()


def test_down_leaves_no_trace(bed: Bed, footprint: Footprint) -> None:
    assert processes(bed.place.root)
    assert bed.down()
    assert processes(bed.place.root) == []
    assert Footprint.take() == footprint
    assert sorted(path.name for path in bed.place.root.iterdir()) == ["cache", "lock", "logs"]
    assert not bed.down()
    with pytest.raises(ConfigError, match="not up"):
        bed.command(["true"])
