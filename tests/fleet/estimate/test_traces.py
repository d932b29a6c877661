"""Trace files as people have them, and generated traces."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cortex.errors import DataError
from cortex.fleet.estimate.generator import ZONES, generate
from cortex.fleet.estimate.interval import daly, mean_between, young
from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.optimum import optimum
from cortex.fleet.estimate.policies import Deadline, Reserve
from cortex.fleet.estimate.replay import replay
from cortex.fleet.estimate.traces import Trace, read_trace, read_traces, windows
from cortex.settings import CHECKOUT
from tests.fleet.estimate.slow import trace

PUBLISHED = CHECKOUT.parent / "shared" / "data" / "spot_traces"
needs_traces = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no published spot traces beside this checkout")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no spot trace"),
        ("[0, 1", "is no spot trace"),
        ("\x00\xff", "is no spot trace"),
        ("[" * 100_000, "is no spot trace"),
        ("[0, 1]", "it needs"),
        ('{"data": [0, 1]}', "it needs"),
        ('{"metadata": {"gap_seconds": 60}}', "it needs"),
        ('{"metadata": {"gap_seconds": 60}, "data": {"0": 1}}', "it needs"),
        ('{"metadata": {}, "data": [0, 1]}', "gap_seconds is None"),
        ('{"metadata": {"gap_seconds": -300}, "data": [0, 1]}', "gap_seconds is -300"),
        ('{"metadata": {"gap_seconds": 0}, "data": [0, 1]}', "gap_seconds is 0"),
        ('{"metadata": {"gap_seconds": 0.001}, "data": [0, 1]}', "gap_seconds is 0.001"),
        ('{"metadata": {"gap_seconds": NaN}, "data": [0, 1]}', "gap_seconds is nan"),
        ('{"metadata": {"gap_seconds": "300"}, "data": [0, 1]}', "gap_seconds is '300'"),
        ('{"metadata": {"gap_seconds": 60}, "data": []}', "has 0 looks"),
        ('{"metadata": {"gap_seconds": 60}, "data": [1]}', "has 1 looks"),
        ('{"metadata": {"gap_seconds": 60}, "data": [1, "up"]}', "holds 'up'"),
        ('{"metadata": {"gap_seconds": 60}, "data": [1, null]}', "holds None"),
        ('{"metadata": {"gap_seconds": 60}, "data": [1, -1]}', "holds -1"),
        ('{"metadata": {"gap_seconds": 60}, "data": [1, NaN]}', "holds nan"),
    ],
)
def test_a_file_that_is_no_trace_is_named(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "zone.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=said) as caught:
        read_traces(tmp_path)
    assert str(path) in str(caught.value)


def test_hidden_files_and_folders_are_left_aside(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"metadata": {"gap_seconds": 60}, "data": [0, 1]}')
    (tmp_path / "._a.json").write_bytes(b"\0\5\x16\7 Mac OS X")
    (tmp_path / ".Trashes").mkdir()
    (tmp_path / ".Trashes" / "b.json").write_text("torn")
    (group,) = read_traces(tmp_path).values()
    assert [trace.name for trace in group] == ["a"]


def test_a_folder_without_traces_or_with_two_kinds_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        read_traces(tmp_path / "missing")
    with pytest.raises(DataError, match="holds no spot trace"):
        read_traces(tmp_path)
    for gap in (60, 300):
        (tmp_path / f"{gap}.json").write_text(f'{{"metadata": {{"gap_seconds": {gap}}}, "data": [0, 1]}}')
    with pytest.raises(DataError, match="gaps of 300, 60 seconds"):
        read_traces(tmp_path)


def test_counts_say_whether_enough_machines_are_there(tmp_path: Path) -> None:
    path = tmp_path / "zone.json"
    path.write_text('{"metadata": {"gap_seconds": 300}, "data": [0, 1, 4, 3], "prices": [1, 1, 1, 1]}')
    assert read_trace(path).up.tolist() == [False, True, True, True]
    assert read_trace(path, machines=4).up.tolist() == [False, False, True, False]


def test_generated_traces_have_the_published_statistics() -> None:
    (made,) = generate(np.random.default_rng(0), days=600)
    for zone, found in zip(ZONES, made, strict=True):
        assert found.availability == pytest.approx(zone.availability, abs=0.06), zone
        assert found.runs(up=True).mean() / 60 == pytest.approx(zone.up, rel=0.25), zone


@needs_traces
def test_the_generators_figures_are_those_of_the_published_traces() -> None:
    published = {found.name: found for found in read_traces(PUBLISHED)["availability_1-node_aws-02-15-2023"]}
    (made,) = generate(np.random.default_rng(0), days=600)
    for zone, like in zip(ZONES, made, strict=True):
        real = published[f"{zone.name}_v100_1"]
        assert real.availability == pytest.approx(zone.availability, abs=0.006)
        assert real.runs(up=True).mean() / 60 == pytest.approx(zone.up, abs=0.6)
        for up in (True, False):
            ratios = [np.quantile(found.runs(up=up), 0.9) / found.runs(up=up).mean() for found in (real, like)]
            assert ratios[1] == pytest.approx(ratios[0], rel=0.5), (zone, up)


def ratios_to_hindsight(groups: Iterable[Sequence[Trace]], zones: int, on_demand: float) -> dict[str, list[float]]:
    """By the trace: the runs' own policy's dollars over the optimum's, in ten replays. None of them is late."""
    found: dict[str, list[float]] = {}
    for group in groups:
        tick = group[0].tick
        job = Job(60 * tick, 90 * tick, tick, 2 * tick, 0, spot=1.0, on_demand=on_demand)
        for some in [group] if zones > 1 else [(each,) for each in group]:
            place = windows([some], 10 * len(group), 91, np.random.default_rng(0), zones)
            (outcome,) = replay([(job, Deadline())], place)
            assert (outcome.seconds <= job.deadline + 1e-6).all(), some[0].name
            found[some[0].name] = (outcome.dollars / optimum(job, place)).tolist()
    return found


@needs_traces
@pytest.mark.parametrize(("zones", "on_demand", "bound"), [(1, 2.0, 1.25), (1, 3.0, 1.35), (3, 3.0, 1.25)])
def test_on_published_traces_no_deadline_is_missed_and_hindsight_is_near(
    zones: int, on_demand: float, bound: float
) -> None:
    # Traces with a look each minute have too many looks for a test; the benchmark reads those.
    groups = [group for group in read_traces(PUBLISHED).values() if group[0].tick >= 100]
    found = ratios_to_hindsight(groups, zones, on_demand)
    assert 1 <= np.mean([np.mean(ratios) for ratios in found.values()]) < bound


@needs_traces
def test_on_published_traces_whoever_could_wait_would_pay_less() -> None:
    """Price of a waiting policy, which our runs cannot follow, since SkyPilot does not wait."""
    ratios: list[float] = []
    for name, group in read_traces(PUBLISHED).items():
        tick = group[0].tick
        if tick < 100:
            continue
        job = Job(60 * tick, 90 * tick, 2 * tick, 4 * tick, 0, spot=1.0, on_demand=3.0)
        place = windows([group], 10 * len(group), 91, np.random.default_rng(0))
        (found,) = replay([(job, Reserve())], place)
        assert (found.seconds <= job.deadline + 1e-6).all(), name
        ratios += (found.dollars / optimum(job, place)).tolist()
    assert 1 <= np.mean(ratios) < 1.25


@pytest.mark.parametrize(("zones", "on_demand", "bound"), [(1, 2.0, 1.25), (3, 3.0, 1.25)])
def test_on_generated_traces_too(zones: int, on_demand: float, bound: float) -> None:
    found = ratios_to_hindsight(generate(np.random.default_rng(1)), zones, on_demand)
    assert 1 <= np.mean([np.mean(ratios) for ratios in found.values()]) < bound


def test_windows_are_of_one_group_at_one_time_and_stay_inside() -> None:
    groups = [[trace([True] * 30), trace([False] * 30)], [trace([True] * 30), trace([True] * 30)]]
    place = windows(groups, 200, 10, np.random.default_rng(0), zones=2)
    assert (place.offset + 10 <= 30).all()
    both = place.block(0, 1)[0].sum(axis=0)
    assert set(both.tolist()) == {1, 2}
    assert 60 < (both == 1).sum() < 140


def test_the_formulas_of_young_and_daly() -> None:
    # A save of 5 minutes, a failure a day: Young's sqrt(2 x 5 x 1440), and Daly's a little less.
    assert young(86400, 300) == pytest.approx(7200)
    assert daly(86400, 300) == pytest.approx(7200 * (1 + (300 / 172800) ** 0.5 / 3 + 300 / 172800 / 9) - 300)
    assert daly(100, 300) == 100
    assert daly(86400, 0) == 0
    assert mean_between([trace([True] * 6 + [False] * 2 + [True] * 4 + [False])]) == 300
