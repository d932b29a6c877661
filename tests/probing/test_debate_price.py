"""The price of a debate, and what it bought."""

import numpy as np

from cortex.domains.example_columns import read_rows
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Grades
from cortex.evaluation.study import Study
from cortex.probing.debate_price import debate_chapters
from tests.probing.scripted import Model, by_flow, market, reply


def chapter(debate: Model, alone: Model, dates: int | None = None) -> Chapter:
    """The chapter on a debate in which every request takes 10 tokens and every reply 5."""
    domain, _, test = market()
    if dates:
        test = test.filter(test["at"].is_in(test["at"].unique().sort().head(dates).implode()))
    clusters, examples = Clusters.read(test, domain.span(test)), list(read_rows(test))
    baseline = [domain.grade(example, reply(0.5)) for example in examples]
    graded = {
        name: Grades.of([domain.grade(example, model(example.text)) for example in examples], baseline)
        for name, model in (("sft", alone), ("debate", debate))
    }
    study = Study(graded, ("sft", "debate"), "sft", clusters, Resamples.draw(clusters, resamples=200), 0)
    one = np.tile(np.array([[10, 5]]), (len(examples), 1))
    [found] = debate_chapters(study, {"sft": one, "debate": 3 * one}, "Brier score")
    return found


def wrong(prompt: str) -> str:
    p_up = 1 - float(by_flow(prompt).split('"p_up":')[1].split(",")[0])
    return reply(round(p_up, 2))


def test_a_debate_that_knows_more_is_a_gain_and_one_that_knows_less_a_harm() -> None:
    better, worse = chapter(by_flow, lambda _: reply(0.5)), chapter(wrong, by_flow)
    assert better.sentences[0].startswith(
        "The debate cost 3.0 times the tokens of one answer: 45 a question, against 15"
    )
    assert better.sentences[1].endswith("That is a gain.") and worse.sentences[1].endswith("That is a harm.")


def test_a_debate_that_says_the_same_shows_no_gain() -> None:
    assert chapter(by_flow, by_flow).sentences[1].endswith("No gain is shown.")


def test_unreadable_debates_and_few_dates_show_nothing() -> None:
    # The baseline's replies, which stand in, are better than a model that is wrong.
    assert chapter(lambda _: "nothing", wrong).sentences[1].endswith("fewer than half of the replies can be read.")
    assert "cannot be told: 12 clusters" in chapter(by_flow, wrong, dates=12).sentences[1]


def test_without_a_debate_there_is_no_chapter() -> None:
    domain, _, test = market()
    known = [domain.grade(example, reply(0.5)) for example in read_rows(test)]
    clusters = Clusters.read(test, domain.span(test))
    study = Study({"sft": Grades.of(known, known)}, ("sft",), "sft", clusters, Resamples.draw(clusters), 0)
    assert debate_chapters(study, {}, "Brier score") == []
