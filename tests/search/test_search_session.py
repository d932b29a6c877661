"""A search from its plan to its winner, with trials that train by a formula: choice, early stops, cap, kills."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.errors import ConfigError, DataError, StageError
from cortex.profiles.profile import Profile
from cortex.runs.budget import spent
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.ledger import LedgerReader
from cortex.runs.trial_record import TrialRecord, find_choice, search_words
from cortex.search.search_cap import SearchCap
from cortex.search.search_plan import SearchPlan
from cortex.search.search_session import look_at
from cortex.search.search_state import SearchState
from cortex.search.trial_outcome import Outcome, State
from tests.search.stand_in import Formula, KilledError, make_plan, session

pytestmark = pytest.mark.integration

RATES = {"grpo.learning_rate": [1e-5, 1e-4, 1e-3, 1e-2]}
SPAN = {"grpo.learning_rate": {"low": 1e-6, "high": 1e-1, "log": True}}


@pytest.fixture
def trials(store: Store, tmp_path: Path) -> Formula:
    return Formula(store, tmp_path / "trained")


def parameters(store: Store) -> list[Any]:
    return [trial.parameters["grpo.learning_rate"] for trial in SearchState.load(store, "s").trials()]


def test_a_grid_tries_all_and_judges_only_the_best_validated(store: Store, trials: Formula, tmp_path: Path) -> None:
    winner = session(store, trials, make_plan(RATES, at_once=2), tmp_path).run()
    assert parameters(store) == RATES["grpo.learning_rate"]
    assert winner.trial.parameters == {"grpo.learning_rate": 1e-3}
    assert trials.judged == ["s-3"]
    assert [find(store, artifact_prefix(f"s-{number}", "evaluate")) is not None for number in (1, 2, 3, 4)] == [
        *(False, False, True, False)
    ]
    choice = find_choice(store, "s-3")
    assert choice and (choice.search, choice.trials) == ("s", 4)
    assert search_words(store, "s-3") == (
        "trial 3 of search s: grpo.learning_rate 0.001; chosen among 4 trials by validation"
    )
    assert search_words(store, "s-1") == "trial 1 of search s: grpo.learning_rate 1e-05"
    grpo = load_run(store, "s-4").grpo
    assert grpo and grpo.learning_rate == 1e-2
    assert trials.most_at_once == 2


def test_of_equals_the_first_is_chosen(store: Store, trials: Formula, tmp_path: Path) -> None:
    trials.loss = lambda profile, step: 0.5
    assert session(store, trials, make_plan(RATES), tmp_path).run().trial.number == 1


@pytest.mark.parametrize(("method", "at_once"), [("tpe", 3), ("random", 1)])
def test_killed_anywhere_it_goes_on_to_the_same_trials(
    method: str, at_once: int, tmp_path: Path, open_folder: Callable[[str], Store]
) -> None:
    plan = make_plan(SPAN, method=method, trials=6, at_once=at_once, seed=5)
    whole, parts = open_folder("whole"), open_folder("parts")
    first = session(whole, Formula(whole, tmp_path / "a"), plan, tmp_path).run()
    for kill in (1, 4, 2):
        with pytest.raises(KilledError):
            session(parts, Formula(parts, tmp_path / "b", killed_after=kill), plan, tmp_path).run()
    last = Formula(parts, tmp_path / "b")
    second = session(parts, last, plan, tmp_path).run()
    assert parameters(parts) == parameters(whole) and len(set(parameters(whole))) == 6
    assert second.trial == first.trial and second.value == first.value
    states = [[(one.state, dict(one.curve)) for one in look_at(SearchState.load(each, "s"))] for each in (whole, parts)]
    assert states[0] == states[1]
    again = session(parts, Formula(parts, tmp_path / "b"), plan, tmp_path)
    assert again.run().trial == first.trial, "a search that has ended changes no more"


def test_one_that_is_behind_is_stopped_and_never_chosen(store: Store, trials: Formula, tmp_path: Path) -> None:
    rates = [1e-3, 2e-3, 8e-4, 1e-6, 9e-4]
    plan = make_plan({"grpo.learning_rate": rates}, stop_behind=3)
    winner = session(store, trials, plan, tmp_path).run()
    assert trials.stopped == ["s-4"]
    outcomes = look_at(SearchState.load(store, "s"))
    assert [one.state for one in outcomes] == ["finished", "finished", "finished", "behind", "finished"]
    assert list(outcomes[3].curve) == [10], "at the first validation that shows it"
    assert winner.trial.number == 1
    assert find_choice(store, "s-1") is not None and find(store, artifact_prefix("s-4", "grpo")) is None


def test_one_that_was_behind_and_ended_before_it_was_stopped_counts_the_same(
    store: Store, trials: Formula, tmp_path: Path
) -> None:
    """The stop is late: the trial recovers and finishes. Another time it would have been stopped."""

    def late(profile: Profile, step: int) -> float:
        assert profile.grpo
        return 0.9 - 0.03 * step if profile.grpo.learning_rate == 1e-2 else 0.5

    plan = make_plan({"grpo.learning_rate": [1e-3, 2e-3, 1e-2]}, stop_behind=2)
    trials.loss = late
    searching = session(store, trials, plan, tmp_path)
    trials.stop = lambda run: None  # type: ignore[method-assign]
    searching.run()
    while trials.running("s-3"):
        pass
    last = look_at(searching.state)[-1]
    assert (last.state, list(last.curve)) == ("behind", [10])


def test_a_trial_that_fails_is_left_out_and_a_search_of_failures_ends(
    store: Store, trials: Formula, tmp_path: Path
) -> None:
    trials.fails = lambda profile: profile.grpo is not None and profile.grpo.learning_rate == 1e-3
    winner = session(store, trials, make_plan(RATES), tmp_path).run()
    assert winner.trial.number == 2
    assert look_at(SearchState.load(store, "s"))[2].reason == "grpo: StageError: it diverged"
    choice = find_choice(store, "s-2")
    assert choice and choice.trials == 4, "a failed trial was a trial"


def test_where_the_first_all_fail_no_money_is_spent_on_more(store: Store, trials: Formula, tmp_path: Path) -> None:
    trials.fails = lambda profile: True
    with pytest.raises(StageError, match=r"all 2 trials failed.*run s-1: grpo: StageError: it diverged"):
        session(store, trials, make_plan(RATES, at_once=2), tmp_path).run()
    assert len(trials.started) == 2 and not trials.judged


def test_a_run_that_others_stopped_stops_the_search(store: Store, trials: Formula, tmp_path: Path) -> None:
    trials.running = lambda run: False  # type: ignore[method-assign]
    with pytest.raises(StageError, match=r"run s-1 of trial 1 was stopped .*see the log of s-1.*`cortex search s`"):
        session(store, trials, make_plan(RATES), tmp_path).run()


def test_all_trials_together_keep_to_the_cap(store: Store, trials: Formula, tmp_path: Path) -> None:
    trials.dollars_per_step = 2.0  # 6 dollars a trial
    plan = make_plan(RATES, at_once=4, stop_behind=None)
    searching = session(store, trials, plan, tmp_path, cap=SearchCap(20.0, 5.0, 7.0))
    winner = searching.run()
    costs = [spent(LedgerReader(store, run).new_events()) for run in trials.started]
    assert costs == [6.0, 6.0, 6.0] and sum(costs) <= 20
    assert [load_run(store, run).budget.dollars for run in trials.started] == [7.0, 7.0, 6.0], (
        "what their machines keep"
    )
    assert trials.most_at_once == 3 and searching.capped
    choice = find_choice(store, winner.trial.run)
    assert choice and (choice.trials, trials.allowed) == (3, 8.0), "one that was not begun is no trial"


def outcome(number: int, state: State, dollars: float, cost: float) -> Outcome:
    record = TrialRecord(search="s", number=number, run=f"s-{number}", parameters={}, dollars=dollars)
    return Outcome(record, state, {10: 0.5}, cost)


def test_what_may_still_be_spent_is_kept_back() -> None:
    cap = SearchCap(50.0, 5.0, 10.0)
    assert cap.next_trial([]) == 10.0
    assert cap.left([outcome(1, "under way", 10, 3)]) == 40.0, "it may go to its own cap"
    assert cap.left([outcome(1, "under way", 10, 12)]) == 38.0, "or be over it by its last minute"
    assert cap.left([outcome(1, "finished", 10, 4)]) == 40.0, "its judging would cost the rest"
    both = [outcome(1, "finished", 10, 4), outcome(2, "finished", 10, 3), outcome(3, "behind", 10, 2)]
    assert cap.left(both) == 50 - 9 - 7, "one of them will be judged"
    assert cap.next_trial([outcome(number, "under way", 11, 0) for number in (1, 2, 3, 4)]) == 6.0
    assert cap.next_trial([outcome(number, "under way", 11.5, 0) for number in (1, 2, 3, 4)]) is None
    assert cap.for_winner(both[0], both) == 45.0


def test_a_cap_that_is_raised_lets_the_search_go_on(store: Store, trials: Formula, tmp_path: Path) -> None:
    trials.dollars_per_step, trials.killed_after = 2.0, 2
    plan = make_plan(RATES)
    state = SearchState.begin(store, "s", plan)
    state.set_cap(8.0)
    with pytest.raises(KilledError):
        session(store, trials, plan, tmp_path, cap=SearchCap(8.0, 5.0, 0.0)).run()
    state.set_cap(40.0)
    assert state.cap() == 40.0
    with pytest.raises(ConfigError, match=r"may cost \$40.00 already.*--dollars 9 is no more"):
        state.set_cap(9.0)
    more = Formula(store, tmp_path / "trained", dollars_per_step=2.0)
    winner = session(store, more, plan, tmp_path, cap=SearchCap(40.0, 5.0, 8.0)).run()
    assert winner.trial.number == 3 and len(SearchState.load(store, "s").trials()) == 4


@pytest.mark.parametrize(("dollars", "own"), [(4.99, 0.0), (100.0, 4.0)])
def test_a_cap_under_one_run_is_refused(dollars: float, own: float) -> None:
    with pytest.raises(ConfigError, match=r"is under the \$5.00 that one run is estimated to cost"):
        SearchCap(dollars, 5.0, own).require_one_run()
    SearchCap(5.0, 5.0, 0.0).require_one_run()


def test_two_searches_of_one_name_are_refused(store: Store, trials: Formula, tmp_path: Path) -> None:
    session(store, trials, make_plan(RATES), tmp_path).run()
    with pytest.raises(ConfigError, match=r"there is another search 's'.*`cortex search s` alone"):
        SearchState.begin(store, "s", make_plan(SPAN))
    with pytest.raises(ConfigError, match="s-1 is a run"):
        SearchState.begin(store, "s-1", make_plan(SPAN))


def test_trials_of_another_version_are_not_mixed_with_these(store: Store, trials: Formula, tmp_path: Path) -> None:
    plan = make_plan(SPAN, trials=3)
    SearchState.begin(store, "s", plan).begin_trial(1, {"grpo.learning_rate": 0.5}, 0.0)
    with pytest.raises(DataError, match="trial 1 of search s has other values than are drawn now"):
        session(store, trials, plan, tmp_path).run()


def test_a_plan_is_the_same_after_the_bucket(store: Store) -> None:
    plan = make_plan({**RATES, "sft.warmup_steps": {"low": 1, "high": 30}, "grpo.vllm": [None]}, trials=5)
    assert SearchState.begin(store, "s", plan).plan == SearchState.load(store, "s").plan == plan
    assert isinstance(plan, SearchPlan) and plan.method == "tpe"
