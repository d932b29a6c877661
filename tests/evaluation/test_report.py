import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cortex.domains.markets.forecasts import Climatology, Forecasts
from cortex.errors import DataError
from cortex.evaluation.page import render_page
from cortex.evaluation.record import Evaluation, Sample
from cortex.evaluation.report import evaluate, write_report
from tests.evaluation.simulation import FEATURES, make_examples, stated

HOSTILE = '<script>alert("prompt")</script> & <img src=http://elsewhere/x>'

EXAMPLES = make_examples(dates=200, symbols=5, strength=1.2)
TEST = EXAMPLES.filter(split="test")
BASE_RATE = Climatology.of(EXAMPLES.filter(split="train")["outcome"].to_numpy()).base_rate


def make_forecasts() -> dict[str, Forecasts]:
    truth = TEST["oracle_p_up"].to_numpy()
    noise = np.random.default_rng(1).uniform(0, 1, len(truth))
    return {"base": stated(noise), "sft": stated((truth + noise) / 2), "grpo": stated(truth)}


def make_evaluation(examples: pl.DataFrame = EXAMPLES, judged: str = "grpo") -> Evaluation:
    sample = Sample(example_id="S0-150", prompt=HOSTILE, outcome=0.012, answers={"grpo": f"<think>{HOSTILE}</think>"})
    return evaluate(
        examples,
        make_forecasts(),
        judged=judged,
        features=FEATURES,
        source=f"a test <{HOSTILE}>",
        simulated=True,
        samples=[sample],
        resamples=200,
    )


EVALUATION = make_evaluation()


class Page(HTMLParser):
    """The tags, attributes and text of a page, with every element checked to be closed."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_page(EVALUATION))


def test_the_record_says_what_was_judged_and_how_it_went() -> None:
    data = EVALUATION.data
    assert (data.train_examples, data.test_examples, len(data.decision_times)) == (600, 400, 80)
    assert data.symbols == ["S0", "S1", "S2", "S3", "S4"]
    assert (data.horizon_days, data.horizon_steps) == (1, 1)
    assert data.base_rate == BASE_RATE
    assert list(EVALUATION.models) == ["base", "sft", "grpo"]
    assert list(EVALUATION.baselines) == ["base_rate", "momentum", "logistic_regression", "oracle"]
    assert EVALUATION.verdict.headline == "skill shown"
    assert EVALUATION.models["grpo"].scores == EVALUATION.baselines["oracle"].scores.model_copy(
        update=EVALUATION.models["grpo"].scores.model_dump(
            include={"return_mae", "return_skill", "coverage", "interval_width"}
        )
    ), "stating the true probabilities is what the oracle does"


def test_every_model_is_compared_with_those_before_it_and_with_every_baseline() -> None:
    pairs = [(comparison.first, comparison.second) for comparison in EVALUATION.comparisons]
    assert {("sft", "base"), ("grpo", "base"), ("grpo", "sft"), ("base", "base_rate")} <= set(pairs)
    assert len(pairs) == 3 + 3 * 4
    relations = {(each.first, each.second): each.relation for each in EVALUATION.comparisons}
    assert relations["grpo", "base"] == "beats"
    assert relations["base", "base_rate"] == "worse than"
    assert relations["grpo", "oracle"] == "not distinguishable from"


def test_intervals_hold_their_scores() -> None:
    for item in EVALUATION.forecasters.values():
        for name, interval in item.intervals:
            assert interval.low <= getattr(item.scores, name) <= interval.high


def test_an_outcome_of_exactly_0_is_not_up_in_the_summary_nor_in_the_curves() -> None:
    still = pl.when(pl.int_range(pl.len()) % 10 == 0).then(0.01).otherwise(pl.col("outcome").clip(upper_bound=0.0))
    examples = EXAMPLES.with_columns(still.alias("outcome"))
    evaluation = make_evaluation(examples)
    up = (examples.filter(split="test")["outcome"] > 0).to_numpy()
    assert evaluation.data.test_up_rate == pytest.approx(up.mean()) and up.mean() < 0.11
    bins = evaluation.models["grpo"].curves.reliability
    assert sum(each.count * each.up_rate for each in bins) == pytest.approx(up.sum())


def test_curves_add_up() -> None:
    for item in EVALUATION.forecasters.values():
        assert sum(item.curves.p_counts) == item.scores.n
        assert sum(each.count for each in item.curves.reliability) == item.scores.n
        assert len(item.curves.cumulative_skill) == 80
        assert item.curves.cumulative_skill[-1] == pytest.approx(item.scores.brier_skill)


def test_the_record_survives_its_file(tmp_path: Path) -> None:
    write_report(EVALUATION, tmp_path)
    assert Evaluation.from_json((tmp_path / "evaluation.json").read_text()) == EVALUATION


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        write_report(make_evaluation(), folder)
    for name in ("evaluation.json", "evaluation.html"):
        one, two = ((folder / name).read_bytes() for folder in folders)
        assert one == two


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(EXAMPLES))
    shuffled = EXAMPLES[order]
    test_rows = shuffled.filter(split="test")
    evaluation = evaluate(
        shuffled,
        {"grpo": stated(test_rows["oracle_p_up"].to_numpy())},
        judged="grpo",
        features=FEATURES,
        source="a test",
        simulated=True,
        resamples=200,
    )
    ours, theirs = evaluation.models["grpo"], EVALUATION.models["grpo"]
    assert ours.intervals.brier_skill.low == pytest.approx(theirs.intervals.brier_skill.low)
    assert ours.curves.cumulative_skill == pytest.approx(theirs.curves.cumulative_skill)


def test_the_page_asks_for_nothing_and_runs_nothing(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    fetching = [value for name, value in page.attributes if name in {"src", "href", "xlink:href", "srcset", "data"}]
    assert all(value and value.startswith("#") for value in fetching)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    text = render_page(EVALUATION)
    assert not re.search(r"""url\((?!#)|@import""", text.replace('url("#', "url(#"))


def test_the_page_shows_hostile_text_as_text(page: Page) -> None:
    assert page.words.count(HOSTILE) == 3, "in the source, the prompt and the answer"


def test_the_page_says_the_verdict_first_and_shows_every_part(page: Page) -> None:
    assert page.words.index("Skill shown") < page.words.index("Scores")
    assert EVALUATION.verdict.reason in page.words
    assert EVALUATION.verdict.comparison in page.words
    assert "says nothing of markets" in page.words
    assert page.tags.count("svg") == 5
    for title in ("Skill over time", "Calibration", "Stated probabilities", "Return intervals", "One against another"):
        assert title in page.words
    for name in ("base", "sft", "grpo", "base rate", "momentum", "logistic regression", "oracle"):
        assert name in page.words


def test_the_page_follows_dark_mode(page: Page) -> None:
    drawn = " ".join(value or "" for name, value in page.attributes if name in {"style", "fill", "stroke"})
    assert "var(--ink)" in drawn
    assert not re.search(r"#[0-9a-f]{6}", drawn), "no colour is fixed"


def test_ids_on_the_page_are_unique(page: Page) -> None:
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_page_of_one_model_without_samples_or_oracle_is_whole() -> None:
    examples = EXAMPLES.drop("oracle_p_up", "oracle_return")
    forecasts = {"sft": stated(np.full(len(TEST), BASE_RATE))}
    evaluation = evaluate(
        examples, forecasts, judged="sft", features=FEATURES, source="files", simulated=False, resamples=50
    )
    words = Page(render_page(evaluation)).words
    assert "No skill shown" in words
    assert "says nothing of markets" not in words
    assert "oracle" not in words


@pytest.mark.parametrize(
    ("examples", "judged", "message"),
    [
        (EXAMPLES.filter(pl.col("split") != "test"), "grpo", "test split is empty"),
        (EXAMPLES.head(-1), "grpo", "400 forecasts for 399 outcomes"),
        (EXAMPLES.with_columns(pl.lit(float("nan")).alias("outcome")), "grpo", "outcome of example 0 is nan"),
        (EXAMPLES, "dpo", "'dpo', which is judged, must be one of them"),
    ],
)
def test_what_cannot_be_judged_is_refused(examples: pl.DataFrame, judged: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_evaluation(examples, judged)


def test_a_model_with_a_baseline_s_name_is_refused() -> None:
    forecasts = {"momentum": stated(np.full(len(TEST), 0.5))}
    with pytest.raises(DataError, match="none may have the name of a baseline"):
        evaluate(EXAMPLES, forecasts, judged="momentum", features=FEATURES, source="a test", simulated=True)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "bad.json: the text"), ("{}", "bad.json: data: Field required; run the evaluate stage")]
)
def test_a_broken_record_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Evaluation.from_json(text, "bad.json")
