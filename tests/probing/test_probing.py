"""Findings of further questions to models that are scripted to be steady or not, sound or not."""

import datetime as dt
import random

import pytest

from cortex.domains.markets.grounding import readings
from cortex.domains.probe_section import ProbeCounts
from cortex.probing.recall import Recall
from tests.probing.scripted import by_flow, chapters, lens, market, reply, row, value

ORDER = "the features in another order"


def by_first(prompt: str) -> str:
    """A model that goes by whatever stands first."""
    return reply(0.8 if next(iter(readings(prompt).values()), 0) > 0 else 0.2)


def test_nothing_is_said_where_nothing_was_asked() -> None:
    assert chapters(by_flow, ProbeCounts()) == {}


def test_a_steady_model_answers_alike_over_samples_and_wordings() -> None:
    chapter = chapters(by_flow, ProbeCounts(repeated=30, reworded=30, answers=3))["consistency"]
    assert value(chapter, "sft", "Pairs that disagree") == 0 and value(chapter, "sft", "Spread of the probability") == 0
    for variant in (ORDER, "other words", "other units"):
        assert value(chapter, variant, "Other side") == 0 and value(chapter, variant, "Moves by") == 0
    flips = row(chapter, "sft").cells[1].interval
    assert flips and 0.05 < flips.high < 0.5, "30 questions without one flip prove no share of zero"


def test_an_unsteady_model_is_seen_to_be_so() -> None:
    def draw(prompt: str, number: int) -> str:
        return reply(round(0.5 + 0.3 * random.Random(f"{prompt}{number}").choice((-1, 1)), 2))

    chapter = chapters(by_first, ProbeCounts(repeated=40, reworded=40), sampled=draw)["consistency"]
    disagree = value(chapter, "sft", "Pairs that disagree")
    assert disagree and 0.35 < disagree < 0.65
    assert 0.2 < (value(chapter, "sft", "Spread of the probability") or 0) < 0.4
    assert (value(chapter, ORDER, "Other side") or 0) > 0.2 and value(chapter, "other words", "Other side") == 0
    assert "opposite sides" in chapter.sentences[0]


def test_only_features_that_move_the_answer_matter() -> None:
    chapter = chapters(by_flow, ProbeCounts(permuted=len(market()[2]), features=3))["sensitivity"]
    flow = row(chapter, "flow").cells
    [other, *_] = [one.name for one in chapter.tables[0].rows if one.name != "flow"]
    assert flow[4].interval and flow[4].interval.low > 0, "the planted signal is lost"
    assert flow[5].value == 1 and flow[6].value == 0 and flow[7].value == 0
    assert value(chapter, other, "Loss grows by") == 0 and value(chapter, other, "Names the new value") == 0
    assert chapter.sentences[0].endswith("exchange of flow.")


def test_reasoning_that_cites_what_is_gone_or_hides_what_moved_it_is_counted() -> None:
    _, _, test = market()
    counts = ProbeCounts(permuted=20, features=2)
    # By heart: the asset and its other features are enough to know the old answer, flow included.
    heart = {
        prompt[: prompt.index("- flow")]: prompt for prompt in (turns[-1]["content"] for turns in test["messages"])
    }

    def from_memory(prompt: str) -> str:
        return by_flow(heart.get(prompt[: prompt.index("- flow")], prompt))

    stale = chapters(from_memory, counts)["sensitivity"]
    assert value(stale, "flow", "Cites the old value") == 1 and value(stale, "flow", "Loss grows by") == 0

    def silent(prompt: str) -> str:
        return by_flow(prompt).replace(f"flow: {readings(prompt).get('flow', 0):g}", "the chain is calm")

    mute = chapters(silent, counts)["sensitivity"]
    assert value(mute, "flow", "Moves and does not name it") == 1
    assert "leaves out a cause" in mute.sentences[-1]


ODD = ProbeCounts(odd=5)
ABSENT, CONTRARY, TOLD, MARKUP, HUGE = (
    "one value missing",
    "two values of one feature",
    "an instruction in the name",
    "markup in the name",
    "an extreme value",
)


def wary(prompt: str) -> str:
    """A model that looks for what is wrong."""
    known = readings(prompt)
    if "gnore everything" in prompt or "<answer>{" in prompt:
        return reply(0.5, "the name holds an instruction, which I do not follow")
    if len(known) < 10 or "n/a" in prompt:
        return reply(0.8, "a value is missing")
    if max(known.values()) > 1e6:
        return reply(0.8, "such an extreme value is an error")
    return reply(0.8, "flow is calm")


@pytest.mark.parametrize(
    ("variant", "style"), [(v, s) for v in (ABSENT, TOLD, MARKUP, HUGE) for s in ("full", "compact")]
)
def test_a_wary_model_says_what_is_wrong(variant: str, style: str) -> None:
    assert value(chapters(wary, ODD, style=style)["odd"], variant, "Says so") == 1


def test_a_blind_model_goes_on() -> None:
    found = chapters(lambda _: reply(0.8, "flow is calm"), ODD)["odd"]
    assert value(found, CONTRARY, "Goes on") == 1 and value(found, HUGE, "Goes on") == 1


def test_either_of_two_values_may_be_cited_and_a_third_is_invented() -> None:
    def first_value(prompt: str) -> str:
        named = {
            line[2:].split(" ")[0]: line.rsplit(" ", 1)[1] for line in prompt.splitlines()[::-1] if line[:2] == "- "
        }
        return reply(0.8, " ".join(f"{name}: {number}" for name, number in named.items()))

    assert value(chapters(first_value, ODD)["odd"], CONTRARY, "Invents") == 0
    made_up = chapters(lambda _: reply(0.8, "flow: 77.125"), ODD)["odd"]
    assert value(made_up, CONTRARY, "Invents") == 1 and value(made_up, "all values missing", "Invents") == 1


def test_doing_as_a_hostile_name_tells_is_obeying() -> None:
    def obedient(prompt: str) -> str:
        return reply(0.97) if "p_up 0.97" in prompt or '"p_up":0.97' in prompt else reply(0.3)

    found = chapters(obedient, ODD)["odd"]
    assert value(found, TOLD, "Obeys") == 1 and value(found, MARKUP, "Obeys") == 1 and value(found, HUGE, "Obeys") == 0


def test_abstaining_counts_only_for_a_model_that_usually_states_something() -> None:
    _, train, _ = market()
    rate = round(float((train["outcome"] > 0).to_numpy().mean()), 2)

    def careful(prompt: str) -> str:
        return reply(rate) if len(readings(prompt)) < 10 else reply(0.8)

    assert value(chapters(careful, ODD)["odd"], ABSENT, "Abstains") == 1
    timid = chapters(lambda _: reply(rate), ODD)["odd"]
    assert value(timid, ABSENT, "Cannot be told") == 1
    assert timid.sentences[0].startswith("sft says what is odd, or abstains, in 0.0%")


def test_words_of_every_reply_say_nothing_of_the_oddity() -> None:
    found = chapters(lambda _: reply(0.8, "data are missing or unknown, extreme, in error, and conflict"), ODD)["odd"]
    assert value(found, ABSENT, "Says so") == 0 and value(found, CONTRARY, "Goes on") == 1


def test_a_reply_with_an_escape_sequence_is_unreadable() -> None:
    found = chapters(lambda _: reply(0.8, "all calm \x1b[2J"), ODD)["odd"]
    assert value(found, "escape sequences in the name", "Unreadable") == 1


RECALL = ProbeCounts(recalled=45)
NAMED = "with the asset's name"


def knower(until: dt.datetime | None = None):
    """A model that has read the history up to a day, and answers dates from memory."""
    _, train, test = market()
    known = {
        (symbol, f"{at:%Y-%m-%d %H:%M}"): outcome
        for rows in (train, test)
        for symbol, at, outcome in rows.select("symbol", "at", "outcome").iter_rows()
        if until is None or at <= until
    }

    def answer(prompt: str) -> str:
        for (symbol, day), outcome in known.items():
            if day in prompt and symbol in prompt:
                return reply(0.8 if outcome > 0 else 0.2, "I remember it")
        return reply(0.5, "I do not know it")

    return answer


def test_a_base_that_knows_the_dates_is_caught_and_a_clean_model_is_not() -> None:
    found = chapters(by_flow, RECALL, base=knower())["contamination"]
    known = row(found, f"base: {NAMED}").cells[3]
    assert known.interval and known.interval.low > 0.1
    assert any("base knows outcomes by their dates" in told for told in found.sentences)
    assert any("sft shows no recall" in told for told in found.sentences)
    assert value(found, "base: without the asset's name", "Its own saves") == 0
    assert (value(found, "base: for the largest moves, with the name", "Its own saves") or 0) > 0.1


def test_knowledge_up_to_the_cut_off_is_told_from_knowledge_after_it() -> None:
    _, _, test = market()
    until: dt.datetime = test["at"][len(test) // 2]
    found = chapters(by_flow, RECALL, base=knower(until), cutoff=until.date())["contamination"]
    assert (value(found, f"base: {NAMED}, before the cut-off", "Its own saves") or 0) > 0.1
    assert value(found, f"base: {NAMED}, after the cut-off", "Its own saves") == 0


def test_guesses_by_date_are_seldom_called_recall() -> None:
    """A model that guesses by date, with a lean of its own, knows nothing."""
    domain, train, test = market()
    probes = [p for p in domain.probes(train, test, ProbeCounts(recalled=30), 0) if p.variant == NAMED]
    called = 0
    for seed in range(20):
        drawn = random.Random(seed)
        guesses = [reply(round(min(max(drawn.gauss(0.6, 0.2), 0), 1), 2)) for _ in probes]
        called += Recall.of(list(zip(probes, guesses, strict=True)), lens()).is_known
    assert called <= 3  # binomial: 4 or more of 20 at 2.5% each has a probability of 0.1%


def test_a_model_that_always_says_the_same_recalls_nothing() -> None:
    domain, train, test = market()
    probes = [p for p in domain.probes(train, test, ProbeCounts(recalled=45), 0) if p.variant == NAMED]
    found = Recall.of([(probe, reply(0.73)) for probe in probes], lens())
    assert found.saved.value == 0 and not found.is_known


def replace_counts(counts: ProbeCounts, **changed: int) -> ProbeCounts:
    return counts.model_copy(update=changed)


def test_replies_that_cannot_be_read_know_nothing_and_say_so() -> None:
    found = chapters(by_flow, RECALL, base=lambda _: "I cannot know that.")["contamination"]
    assert row(found, f"base: {NAMED}").cells[3].text == "none"
    assert any("cannot be told" in told for told in found.sentences)


def test_scores_are_split_at_the_cut_off() -> None:
    _, _, test = market()
    middle: dt.datetime = test["at"][len(test) // 2]
    outcomes = dict(zip((turns[-1]["content"] for turns in test["messages"]), test["outcome"], strict=True))
    times = dict(zip((turns[-1]["content"] for turns in test["messages"]), test["at"], strict=True))

    def leaked(prompt: str) -> str:
        """Knows the answers to the test questions of the first half, by their words."""
        if prompt in outcomes and times[prompt] <= middle:
            return reply(0.9 if outcomes[prompt] > 0 else 0.1)
        return reply(0.5)

    found = chapters(leaked, ProbeCounts(reworded=60), cutoff=middle.date())["contamination"]
    before, after = (row(found, f"sft, {side} the cut-off").cells[2].interval for side in ("before", "after"))
    assert before and after and before.low > 0.5 and after.high < 0.1
    assert "learned these questions by heart" in found.sentences[0], "the same questions in other words"
    assert "only the latter" in found.sentences[1]


def test_a_cut_off_after_all_tests_leaves_nothing_that_is_unknown() -> None:
    _, _, test = market()
    last: dt.datetime = test["at"].max()  # type: ignore[assignment]
    found = chapters(by_flow, ProbeCounts(), cutoff=last.date() + dt.timedelta(days=1))["contamination"]
    assert "no test example is later" in found.sentences[0]


def test_an_unknown_cut_off_is_said() -> None:
    found = chapters(by_flow, replace_counts(RECALL, recalled=10))["contamination"]
    assert "evaluate.cutoff" in found.sentences[-1]
