"""Break-even: exact, "never" where it never is, and refused where it cannot be computed."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cortex.artifacts.open_store import open_store
from cortex.benching.breakeven import STEPS, BreakEven, Way, break_even
from cortex.benching.monthly_cost import MONTH_HOURS, HourRate, TokenRate, Volume
from cortex.cli import app
from cortex.errors import CortexError, DataError, UsageError
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger

VOLUME = Volume(Decimal(250_000_000), Decimal(800), Decimal(200))
API = TokenRate(Decimal(3), Decimal(15))
OWN = TokenRate(Decimal("0.2"), Decimal("0.8"))
PRICES = ("--training", "180", "--monthly", "250M", "--api-in", "3", "--api-out", "15")
OWN_PRICES = ("--own-in", "0.2", "--own-out", "0.8")

amounts = st.decimals(0, 10**6, places=4)


def compute(*words: str) -> Any:
    """The JSON of `cortex breakeven`; the kit's own errors are raised."""
    done = CliRunner().invoke(app, ["breakeven", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def found(training: str, own: Way, other: Way) -> BreakEven:
    return break_even(Decimal(training), own, [other], VOLUME)


def test_a_month_by_the_price_of_tokens() -> None:
    # 250,000 requests: 200M tokens in at $3, 50M out at $15.
    assert API.month(VOLUME) == 600 + 750
    # And 1,500 tokens of a prompt before each: 375M more, at the price of a cache.
    assert API.month(VOLUME, Decimal(1500)) == 600 + 750 + 3 * 375
    assert TokenRate(Decimal(3), Decimal(15), Decimal("0.3")).month(VOLUME, Decimal(1500)) == Decimal("1462.5")


def test_a_month_by_the_hours_of_a_machine() -> None:
    # 50M tokens out at 1,000 a second are 50,000 seconds of work, and twice as many rented.
    rate = HourRate(Decimal(36), Decimal(1000), Decimal("0.5"))
    assert rate.month(VOLUME) == 1000
    assert HourRate(Decimal(36), Decimal(1000), Decimal("0.5"), always_on=True).month(VOLUME) == 36 * MONTH_HOURS
    # 100,000 s of work for each 1% of speed: beyond a month's hours a second machine is rented.
    slow = HourRate(Decimal(36), Decimal(10), Decimal("0.5"), always_on=True)
    assert slow.month(VOLUME) == 4 * 36 * MONTH_HOURS


def test_months_first_year_and_tokens_are_exact() -> None:
    one = found("239.50", Way("own", "", OWN.month), Way("API", "", API.month)).asked[0]
    assert (one.own, one.other, one.saving) == (80, 1350, 1270)
    assert one.first_year == 12 * 1270 - Decimal("239.50")
    assert one.months == Decimal("239.50") / 1270
    assert one.tokens == Decimal("239.50") / 1270 * VOLUME.tokens


@pytest.mark.parametrize("own", [API, TokenRate(Decimal(9), Decimal(99))], ids=["as dear", "dearer"])
def test_without_savings_it_never_breaks_even(own: TokenRate) -> None:
    one = found("180", Way("own", "", own.month), Way("API", "", API.month))
    assert all(at.months is None and at.tokens is None for at in (*one.asked, *one.sensitivity))
    assert one.asked[0].first_year <= -180


@given(training=amounts, dollars=st.tuples(amounts, amounts, amounts, amounts), tokens=st.integers(1, 10**15))
def test_the_savings_of_the_months_pay_for_the_training(
    training: Decimal, dollars: tuple[Decimal, ...], tokens: int
) -> None:
    volume = Volume(Decimal(tokens), Decimal(700), Decimal(301))
    own, other = TokenRate(*dollars[:2]), TokenRate(*dollars[2:])
    for one in break_even(training, Way("", "", own.month), [Way("", "", other.month)], volume).sensitivity:
        if one.months is None:
            assert one.other <= one.own
        else:
            assert one.months >= 0 and abs(one.months * one.saving - training) <= training * Decimal("1e-20")
            assert (one.months <= 12) == (one.first_year >= 0) or abs(one.first_year) < Decimal("1e-12")


def test_the_sensitivity_is_around_the_volume(tmp_path: Path) -> None:
    never = ("--larger-in", "0.1", "--larger-out", "0.2")
    shown = compute(*PRICES, *OWN_PRICES, *never, "--plot", str(tmp_path / "plot.svg"))
    of_api = [one for one in shown["sensitivity"] if one["against"] == "API"]
    assert [Decimal(one["monthly_tokens"]) for one in of_api] == [250_000_000 * step for step in STEPS]
    assert of_api[STEPS.index(Decimal(1))] == shown["comparisons"][0]
    texts = "".join(ElementTree.parse(tmp_path / "plot.svg").getroot().itertext())
    assert "larger model: never" in texts and "API: never" not in texts


def test_every_way_is_compared_and_the_untrained_have_the_prompt() -> None:
    words = ("--system-prompt", "1.5k", "--larger-in", "1", "--larger-out", "4", "--api-cached", "0.3")
    api, larger, prompted = compute(*PRICES, *OWN_PRICES, *words)["comparisons"]
    assert (api["against"], api["own_month"], api["other_month"]) == ("API", "80", "1462.5")
    assert (larger["against"], larger["other_month"]) == ("larger model", "775")
    assert (prompted["against"], prompted["monthly_saving"], prompted["months_to_break_even"]) == (
        "same model, prompted",
        "75",
        "2.4",
    )


def test_a_machine_that_is_always_on_never_pays_for_few_tokens() -> None:
    words = ("--training", "180", "--monthly", "2M", "--api-in", "0.3", "--api-out", "1.5", "--hourly", "2")
    shown = compute(*words, "--tokens-per-second", "1500", "--always-on")
    assert shown["comparisons"][0]["months_to_break_even"] is None
    assert shown["comparisons"][0]["monthly_saving"] == "-1458.92"
    by_the_hour = compute(*words, "--tokens-per-second", "1500", "--utilisation", "50%")
    # 400,000 tokens out at 1,500 a second, half of the time, at $2 an hour.
    assert Decimal(by_the_hour["comparisons"][0]["own_month"]) == Decimal("0.296296")


def test_the_table_says_never() -> None:
    words = ["breakeven", *PRICES, "--own-in", "3", "--own-out", "15"]
    shown = CliRunner().invoke(app, words).stdout
    assert sum(" never " in line for line in shown.splitlines()) == 1 + len(STEPS)


def bench(path: Path, **changes: Any) -> Path:
    """A file of `cortex bench serve --json`, as far as it is read."""
    level = {
        "succeeded": 100,
        "tokens_in": 25_000,
        "tokens_out": 6_400,
        "output_tokens_per_second": 2000.0,
        "good_share": None,
    }
    fast = {**level, "concurrency": 64, "output_tokens_per_second": 4000.0}
    levels = [{**level, "concurrency": 1}, {**fast, **changes}]
    endpoint = {"endpoint": "tiny@host", "dollars_per_hour": "2.50", "levels": levels}
    path.write_text(json.dumps({"format": "cortex bench serve 1", "endpoints": [endpoint]}), encoding="utf-8")
    return path


WITH_BENCH = ("--training", "10", "--monthly", "314M", "--api-in", "3", "--api-out", "15", "--bench")


def test_a_bench_gives_speed_price_and_lengths(tmp_path: Path) -> None:
    shown = compute(*WITH_BENCH, str(bench(tmp_path / "b.json")), "--utilisation", "0.8")
    assert (shown["tokens_in"], shown["tokens_out"]) == ("250", "64")
    # A million requests of 64 tokens out, at 4,000 a second and 80% of the time, are 20,000 s.
    assert Decimal(shown["comparisons"][0]["own_month"]) == Decimal("13.888889")
    assert "tiny@host with 64 requests at a time" in shown["own"]
    assert "another speed" in compute(*WITH_BENCH, str(tmp_path / "b.json"), "--tokens-in", "2k")["own"]


def test_of_a_bench_only_levels_within_the_objective_count(tmp_path: Path) -> None:
    shown = compute(*WITH_BENCH, str(bench(tmp_path / "b.json", good_share=0.5)))
    assert "with 1 requests at a time" in shown["own"] and "2000 tokens a second" in shown["own"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"format": "other"}', '{"format": "cortex bench serve 1", "endpoints": []}', "\0", "[" * 9999],
    ids=range(7),
)
def test_a_file_that_is_no_bench_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.json"):
        compute(*WITH_BENCH, str(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"output_tokens_per_second": float("nan")},
        {"output_tokens_per_second": -1.0},
        {"succeeded": -1},
        {"tokens_out": "many"},
        {"good_share": 2.0},
    ],
    ids=str,
)
def test_figures_of_a_bench_that_cannot_be_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError):
        compute(*WITH_BENCH, str(bench(tmp_path / "b.json", **changes)))


def test_a_bench_of_a_server_that_failed_is_refused(tmp_path: Path) -> None:
    path = bench(tmp_path / "b.json", succeeded=0)
    path.write_text(path.read_text().replace('"succeeded": 100', '"succeeded": 0'))
    with pytest.raises(DataError, match="no level of tiny@host answered"):
        compute(*WITH_BENCH, str(path))
    with pytest.raises(DataError, match="cannot be read: No such file"):
        compute(*WITH_BENCH, str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*PRICES[2:], *OWN_PRICES), "name the training's cost"),
        ((*PRICES, *OWN_PRICES, "--run", "a"), "name the training's cost"),
        (PRICES, "name the trained model's price"),
        ((*PRICES, "--hourly", "2"), "name the trained model's price"),
        ((*PRICES, "--tokens-per-second", "2"), "name the trained model's price"),
        ((*PRICES, "--own-in", "2"), "--own-out is missing"),
        ((*PRICES, *OWN_PRICES, "--hourly", "2"), "leave out what describes a machine"),
        ((*PRICES, *OWN_PRICES, "--larger-out", "2"), "--larger-in is missing"),
        ((*PRICES[:4], *OWN_PRICES), "name what to compare with"),
        ((*PRICES[:4], *OWN_PRICES, "--api-cached", "1"), "--api-in is missing"),
        ((*PRICES, "--hourly", "2", "--tokens-per-second", "9", "--system-prompt", "9"), "needs its speed"),
        ((*PRICES, *OWN_PRICES, "--prompted-tokens-per-second", "9"), "add --system-prompt"),
    ],
)
def test_what_is_missing_is_named(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compute(*words)


@pytest.mark.parametrize("option", ["--monthly", "--training", "--api-in", "--hourly", "--utilisation", "--tokens-in"])
@pytest.mark.parametrize("value", ["nan", "-1", "inf", "1e99", "ten", ""])
def test_numbers_that_cannot_be_end_with_2(option: str, value: str) -> None:
    done = CliRunner().invoke(app, ["breakeven", *PRICES, *OWN_PRICES, option, value])
    assert done.exit_code == 2 and "Traceback" not in done.output


def test_a_run_costs_what_its_ledger_says(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_BUCKET", str(tmp_path / "bucket"))
    store = open_store(str(tmp_path / "bucket"))
    create_run(store, "a", profile)
    assert compute("--run", "a", *PRICES[2:], *OWN_PRICES)["training"] == "0"
    ledger, on = Ledger(store, "a", 1), {"machine": "i-1", "since": 1000.0}
    ledger.append("machine_started", **on, dollars_per_hour=12.1, cloud="aws", spot=True)
    ledger.append("machine_ended", **on, until=1000.0 + 3 * 3600, reason="done")
    assert compute("--run", "a", *PRICES[2:], *OWN_PRICES)["training"] == "36.3"
    with pytest.raises(CortexError, match="nobody"):
        compute("--run", "nobody", *PRICES[2:], *OWN_PRICES)
