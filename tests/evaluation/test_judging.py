import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cortex.domains.markets.calibration import P_COUNTS
from cortex.domains.markets.plots import reliability_of
from cortex.errors import DataError
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.judging import Origin, evaluate, write_report
from cortex.evaluation.measure import Measure, Scale
from cortex.evaluation.page import render_page
from cortex.evaluation.record import Evaluation, Sample
from tests.evaluation.simulation import MARKETS, judge, make_clusters, make_examples, stated

HOSTILE = '<script>alert("prompt")</script> & <img src=http://elsewhere/x>'

EXAMPLES = make_examples(dates=200, symbols=5, strength=1.2)
TEST = EXAMPLES.filter(split="test")
BASE_RATE = float(np.mean(EXAMPLES.filter(split="train")["outcome"].to_numpy() > 0))


def make_models(test: pl.DataFrame = TEST) -> dict[str, list[Graded]]:
    truth = TEST["oracle_p_up"].to_numpy()
    noise = np.random.default_rng(1).uniform(0, 1, len(truth))
    outcome = test["outcome"].to_numpy()
    stated_by = {"base": noise, "sft": (truth + noise) / 2, "grpo": truth}
    return {name: stated(p_up).graded(outcome) for name, p_up in stated_by.items()}


def make_evaluation(examples: pl.DataFrame = EXAMPLES, judged: str = "grpo") -> Evaluation:
    sample = Sample(
        example_id="S0-150",
        prompt=HOSTILE,
        truth="the return was +1.20%",
        answers={"grpo": f"<think>{HOSTILE}</think>"},
    )
    models = make_models(examples.filter(split="test"))
    return judge(models, examples, judged=judged, source=f"a test <{HOSTILE}>", samples=[sample])


def page_of(evaluation: Evaluation) -> str:
    return render_page(evaluation, MARKETS.figures(evaluation), MARKETS.notes())


EVALUATION = make_evaluation()


class Page(HTMLParser):
    """The tags, attributes and text of a page, with every element checked to be closed."""

    VOID = frozenset({"meta", "br", "img", "input", "link"})

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
    return Page(page_of(EVALUATION))


def test_the_record_says_what_was_judged_and_how_it_went() -> None:
    data = EVALUATION.data
    assert (data.train_examples, data.test_examples, data.clusters, len(data.times)) == (600, 400, 80, 80)
    assert data.facts["Symbols"] == "5: S0, S1, S2, S3, S4"
    assert (data.facts["Horizon"], data.span) == ("1 day", 1)
    assert data.facts["Base rate (up in training)"] == f"{BASE_RATE:.1%}"
    assert data.facts["Features"].startswith("mom7: ")
    assert list(data.period.values()) == ["2021-05-01 to 2021-07-19"]
    assert list(EVALUATION.models) == ["base", "sft", "grpo"]
    assert list(EVALUATION.baselines) == ["base_rate", *MARKETS.scale.rivals, "oracle"]
    assert EVALUATION.verdict.headline == "skill shown"
    model, oracle = EVALUATION.models["grpo"], EVALUATION.baselines["oracle"]
    of_returns = {"return_mae", "return_skill", "coverage", "interval_width"}
    assert (model.n, model.loss, model.skill, model.valid_share) == (400, oracle.loss, oracle.skill, 1)
    for name, value in model.measures.items():
        if name not in of_returns:
            assert value == oracle.measures[name], "stating the true probabilities is what the oracle does"


def test_every_model_is_compared_with_those_before_it_and_with_every_baseline() -> None:
    pairs = [(comparison.first, comparison.second) for comparison in EVALUATION.comparisons]
    assert {("sft", "base"), ("grpo", "base"), ("grpo", "sft"), ("base", "base_rate")} <= set(pairs)
    assert len(pairs) == 3 + 3 * len(EVALUATION.baselines)
    relations = {(each.first, each.second): each.relation for each in EVALUATION.comparisons}
    assert relations["grpo", "base"] == "beats"
    assert relations["base", "base_rate"] == "worse than"
    assert relations["grpo", "oracle"] == "not distinguishable from"


def test_intervals_hold_their_scores() -> None:
    for item in EVALUATION.contenders.values():
        figures = {"loss": item.loss, "skill": item.skill, **item.measures}
        assert set(item.intervals) == {"loss", "skill", "accuracy", "log_loss", "return_skill", "coverage"}
        for name, interval in item.intervals.items():
            assert interval.low <= figures[name] <= interval.high


def test_an_outcome_of_exactly_0_is_half_a_rise_in_the_summary_and_in_the_curves() -> None:
    still = pl.when(pl.int_range(pl.len()) % 10 == 0).then(0.01).otherwise(pl.col("outcome").clip(upper_bound=0.0))
    examples = EXAMPLES.with_columns(still.alias("outcome"))
    evaluation = make_evaluation(examples)
    outcome = examples.filter(split="test")["outcome"].to_numpy()
    up = (outcome > 0) + 0.5 * (outcome == 0)
    assert evaluation.data.facts["Up in test"] == f"{up.mean():.1%}"
    assert evaluation.data.facts["Unchanged in test, half a rise each"] == f"{(outcome == 0).sum():,}"
    _, up_rate, count = reliability_of(evaluation.models["grpo"])
    assert np.dot(count, up_rate) == pytest.approx(up.sum())


def test_curves_add_up() -> None:
    for item in EVALUATION.contenders.values():
        assert np.sum(np.array(item.details[P_COUNTS])) == item.n
        assert sum(reliability_of(item)[2]) == item.n
        assert len(item.cumulative_skill) == 80
        assert item.cumulative_skill[-1] == pytest.approx(item.skill)


def test_the_record_survives_its_file(tmp_path: Path) -> None:
    write_report(EVALUATION, tmp_path, MARKETS.figures(EVALUATION), MARKETS.notes())
    assert (tmp_path / "evaluation.html").read_text() == page_of(EVALUATION)
    assert Evaluation.from_json((tmp_path / "evaluation.json").read_text()) == EVALUATION


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        evaluation = make_evaluation()
        write_report(evaluation, folder, MARKETS.figures(evaluation), MARKETS.notes())
    for name in ("evaluation.json", "evaluation.html"):
        one, two = ((folder / name).read_bytes() for folder in folders)
        assert one == two


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(EXAMPLES))
    shuffled = EXAMPLES[order]
    test_rows = shuffled.filter(split="test")
    graded = stated(test_rows["oracle_p_up"].to_numpy()).graded(test_rows["outcome"].to_numpy())
    evaluation = judge({"grpo": graded}, shuffled)
    ours, theirs = evaluation.models["grpo"], EVALUATION.models["grpo"]
    assert ours.intervals["skill"].low == pytest.approx(theirs.intervals["skill"].low)
    assert ours.cumulative_skill == pytest.approx(theirs.cumulative_skill)


def test_the_page_asks_for_nothing_and_runs_nothing(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    fetching = [value for name, value in page.attributes if name in {"src", "href", "xlink:href", "srcset", "data"}]
    assert all(value and value.startswith("#") for value in fetching)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    text = page_of(EVALUATION)
    assert not re.search(r"""url\((?!#)|@import""", text.replace('url("#', "url(#"))


def test_the_page_shows_hostile_text_as_text(page: Page) -> None:
    assert page.words.count(HOSTILE) == 3, "in the source, the prompt and the answer"


def test_the_page_says_the_verdict_first_and_shows_every_part(page: Page) -> None:
    assert page.words.index("Skill shown") < page.words.index("Scores")
    assert EVALUATION.verdict.reason in page.words
    assert EVALUATION.verdict.comparison in page.words
    assert "says nothing of the real world" in page.words
    assert page.tags.count("svg") == 5
    assert all(note in page.words for note in MARKETS.notes())
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
    unknown = pl.lit(None, dtype=pl.Float64)
    examples = EXAMPLES.with_columns(oracle_p_up=unknown, oracle_return=unknown)
    models = {"sft": stated(np.full(len(TEST), BASE_RATE)).graded(TEST["outcome"].to_numpy())}
    evaluation = judge(models, examples, judged="sft", source="files", simulated=False, resamples=50)
    words = Page(page_of(evaluation)).words
    assert "No skill shown" in words
    assert "says nothing of the real world" not in words
    assert "oracle" not in words


@pytest.mark.parametrize(
    ("examples", "judged", "message"),
    [
        (EXAMPLES.filter(pl.col("split") != "test"), "grpo", "test split is empty"),
        (EXAMPLES.head(-1), "grpo", "400 replies for 399 examples"),
        (EXAMPLES.with_columns(pl.lit(float("nan")).alias("outcome")), "grpo", "outcome of example 0 is nan"),
        (EXAMPLES, "dpo", "'dpo', which is judged, must be one of them"),
    ],
)
def test_what_cannot_be_judged_is_refused(examples: pl.DataFrame, judged: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        judge(make_models(), examples, judged=judged)


def test_a_model_with_a_baseline_s_name_is_refused() -> None:
    models = {"momentum": stated(np.full(len(TEST), 0.5)).graded(TEST["outcome"].to_numpy())}
    with pytest.raises(DataError, match="none may have the name of a baseline"):
        judge(models, EXAMPLES, judged="momentum")


def coins(count: int, loss: float) -> list[Graded]:
    return [Graded(loss, valid=True, numbers={"moves": 3.0}) for _ in range(count)]


def judge_puzzles(clusters: Clusters, reference: str = "first_move", count: int = 120) -> Evaluation:
    """The evaluation of a model by a scale that is no market's."""
    return evaluate(
        {"sft": coins(count, 0.1)},
        {"first_move": coins(120, 0.4)},
        clusters,
        judged="sft",
        scale=Scale("error rate", "error skill", "puzzles", reference=reference, replies="moves"),
        measures=(Measure("moves", "Moves", of="moves", form=".1f", bounds=(0.0, 99.0)),),
        origin=Origin("puzzles", "a test", simulated=False, train_examples=7),
        resamples=50,
    )


def test_clusters_without_times_have_no_period_and_no_skill_over_time() -> None:
    evaluation = judge_puzzles(make_clusters(60, 2, is_timed=False))
    assert (evaluation.data.block_length, evaluation.data.period) == (1, {})
    assert evaluation.models["sft"].cumulative_skill == []
    page = Page(render_page(evaluation))
    assert page.tags.count("svg") == 1
    assert "Skill over time" not in page.words and "Test period" not in page.words and "blocks" not in page.words
    assert "60" in page.words and "Puzzles" in page.words and "error rate" in page.words and "Valid moves" in page.words
    timed = Page(render_page(judge_puzzles(make_clusters(60, 2))))
    assert "Skill over time" in timed.words and "Test period" in timed.words and "in blocks of 4" in timed.words


def test_another_domain_s_measures_are_columns_of_the_page() -> None:
    evaluation = judge_puzzles(make_clusters(60, 2, is_timed=False))
    model = evaluation.models["sft"]
    assert (model.loss, model.skill, model.measures) == (pytest.approx(0.1), pytest.approx(0.75), {"moves": 3})
    assert evaluation.verdict.skill_shown
    assert "Moves" in Page(render_page(evaluation)).words


def test_without_the_reference_nothing_is_judged() -> None:
    with pytest.raises(DataError, match="'greedy' must be one"):
        judge_puzzles(make_clusters(60, 2), reference="greedy")


def test_each_example_is_judged_once() -> None:
    with pytest.raises(DataError, match="119 replies for 120 examples"):
        judge_puzzles(make_clusters(60, 2), count=119)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "bad.json: the text"), ("{}", "bad.json: data: Field required; run the evaluate stage")]
)
def test_a_broken_record_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Evaluation.from_json(text, "bad.json")
