"""The verb that searches: what it refuses before anything, and what it keeps of a search in the bucket."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.errors import CortexError
from cortex.runs.context import create_run
from cortex.search.search_state import SearchState
from cortex.settings import Settings
from cortex.verbs import searching
from cortex.verbs.launch_steps import LaunchOptions, Relaunch
from cortex.verbs.rented_trials import RentedTrials
from tests.search.stand_in import Formula, learning_rate_loss, make_plan, session

RATES = ("--over", "grpo.learning_rate=1e-4,1e-3")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CORTEX_BUCKET", raising=False)
    return tmp_path / "home"


def search(*words: str) -> Result:
    return CliRunner().invoke(searching.app, ["s", *words])


def refusal(*words: str) -> str:
    error = search(*words).exception
    assert isinstance(error, CortexError), error
    assert "\n" not in str(error)
    return str(error)


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "a search that was never begun": ((), "no search 's'"),
    "an unknown profile": (("--profile", "rehersal", *RATES), "did you mean 'rehearsal'"),
    "an unknown key": (("--over", "grpo.learning_rat=1,2"), "did you mean 'learning_rate'"),
    "no values": (("--over", "grpo.beta="), "has no values"),
    "nothing to try": (("--profile", "rehearsal"), "over"),
    "a file that is not there": (("--file", "none.yaml"), "there is no file none.yaml"),
    "a cap where nothing costs": ((*RATES, "--dollars", "5"), "cost nothing: leave --dollars out"),
    "rented machines without a cap": ((*RATES, "--launch"), "give --dollars"),
    "GPUs on this machine": (("--profile", "cortex-8b", *RATES), "rent them by --launch"),
    "a cap of nothing": ((*RATES, "--launch", "--dollars", "0"), "dollars: Input should be greater than 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_searched_is_one_line_and_leaves_nothing(case: str, home: Path) -> None:
    words, message = BAD[case]
    assert message in refusal(*words)
    assert not (home / "bucket" / "runs").exists() or not list((home / "bucket" / "runs").iterdir())


def test_a_cap_under_one_run_is_refused_before_anything(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [{"spot": True, "dollars_per_hour": 12.0}, {"spot": False, "dollars_per_hour": 30.0}]
    from cortex.fleet.estimate import training_prices
    from cortex.runs.price_list import Offer

    offers = tuple(Offer(cloud="aws", region="us-east-1", instance_type="p5", **price) for price in prices)  # type: ignore[arg-type]
    monkeypatch.setattr(training_prices, "training_offers", lambda profile: offers)
    words = ("--profile", "cortex-8b", "--over", "grpo.learning_rate=1e-6,5e-6", "--launch", "--dollars", "3")
    assert "cap of $3.00 is under the $" in refusal(*words)
    assert not (home / "bucket" / "runs").exists()


def test_a_file_says_what_options_say_and_options_come_first(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(
        "profile: rehearsal\nover:\n  sft.learning_rate: {low: 1e-4, high: 1e-2, log: true}\ntrials: 5\nseed: 3\n"
    )
    values = searching._read_values({"trials": 7}, (), file)
    assert values["over"] == {"sft.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    assert (values["trials"], values["seed"]) == (7, 3)
    file.write_text("- a list\n")
    assert "is not a YAML mapping" in refusal("--file", str(file))


@pytest.mark.integration
def test_a_search_that_has_ended_is_shown_and_not_begun_otherwise(home: Path, tmp_path: Path) -> None:
    store = open_store(str(home / "bucket"))
    plan = make_plan({"grpo.learning_rate": [1e-4, 1e-3]})
    session(store, Formula(store, tmp_path / "trained"), plan, home).run()
    shown = search("--show")
    assert shown.exit_code == 0, shown.exception
    assert " chosen " in shown.stdout and "`cortex show s-2` has the winner's verdict" in shown.stdout
    assert "there is another search 's'" in refusal("--over", "grpo.learning_rate=1e-4,1e-2")
    lock = Settings().work("s")
    lock.mkdir(parents=True)
    with (lock / "search.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "at work in another program here" in refusal()


class Server:
    """Stand-in for SkyPilot's server: jobs that train by a formula."""

    def __init__(self, trials: Formula) -> None:
        self.trials = trials
        self.launches: list[tuple[str, str | None, float | None]] = []

    def of_run(self, run: str) -> list[str]:
        return ["job/1"] if self.trials.running(run) else []

    def destroy(self, name: str) -> None:
        for run in list(self.trials.steps):
            self.trials.stop(run)

    def submit(self, documents: object, name: str, secrets: object, identity: str | None = None) -> int:
        raise AssertionError("launches are counted, and not submitted")

    def launch(self, run: str, profile: Any, options: LaunchOptions, again: Relaunch | None) -> None:
        self.launches.append((run, options.through, again.budget if again else None))
        assert options.yes and not options.follow
        if options.through is None:
            self.trials.judge(run, profile, None)
        else:
            self.trials.start(run, profile)
            self.trials.ledgers[run].append("launching", name=run)


@pytest.mark.integration
def test_on_rented_machines_each_trial_is_a_launch_and_the_winner_is_launched_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.verbs.rented_trials.POLL_SECONDS", 0.0)
    rates = [1e-3, 2e-3, 8e-4, 1e-6]
    plan = make_plan({"grpo.learning_rate": rates}, launch=True, stop_behind=3, at_once=1)
    formula = Formula(store, tmp_path / "trained", loss=learning_rate_loss, dollars_per_step=1.0)
    server = Server(formula)
    options = LaunchOptions(None, None, True, False, False, False)
    trials = RentedTrials(store, server, options, plan.stage, server.launch)  # type: ignore[arg-type]
    searching_now = session(store, formula, plan, tmp_path)
    searching_now.trials = trials
    from cortex.search.search_cap import SearchCap

    searching_now.cap = SearchCap(40.0, 2.0, 6.0)
    winner = searching_now.run()
    assert winner.trial.number == 1
    assert server.launches[:4] == [(f"s-{number}", "grpo", None) for number in (1, 2, 3, 4)]
    assert formula.stopped == ["s-4"], "the one that was behind"
    (run, through, budget), *more = server.launches[4:]
    assert (run, through, more) == ("s-1", None, [])
    assert budget is not None and budget > 6.0, "the winner may have what the others left"
    said = [json.loads(line)["event"] for line in _ledger(store, "s-4").splitlines()]
    assert "stopped" in said


def _ledger(store: Store, run: str) -> str:
    return "".join(store.get(entry.key).decode() for entry in store.list(f"runs/{run}/ledger"))


def test_a_run_of_that_name_is_no_search(home: Path) -> None:
    store = open_store(str(home / "bucket"))
    create_run(store, "s", make_plan({"grpo.beta": [0.0]}).base())
    assert "s is a run: give the search another name" in refusal(*RATES)
    assert "no search 's'" in refusal("--show")
    assert not [each for each in store.list("runs/s") if "search" in each.key]
    with pytest.raises(CortexError, match="no search"):
        SearchState.load(store, "s")
