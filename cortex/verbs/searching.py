"""The verb that searches for better values of a profile's keys."""

import fcntl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import ConfigError, RefusedError, UsageError
from cortex.verbs.launch_steps import LaunchOptions
from cortex.verbs.options import INTERRUPTED, Set, read_path
from cortex.verbs.rent_options import Cloud, Yes, require_terminal

if TYPE_CHECKING:
    from cortex.artifacts.store import Store
    from cortex.profiles.profile import Profile
    from cortex.search.search_cap import SearchCap
    from cortex.search.search_session import SearchSession
    from cortex.search.search_state import SearchState
    from cortex.settings import Settings

app = typer.Typer()

Over = Annotated[
    list[str] | None,
    typer.Option(
        "--over",
        metavar="KEY=VALUES",
        help="Values to try: sft.learning_rate=1e-4,3e-4 or =1e-5..1e-3:log. May be repeated.",
    ),
]
File = Annotated[
    Path | None, typer.Option("--file", parser=read_path, metavar="PATH", help="A YAML file with the search's keys.")
]
Dollars = Annotated[
    float | None, typer.Option(help="The most that all trials and the judging may cost together; raises it, too.")
]
Launch = Annotated[bool, typer.Option("--launch", help="Train on rented machines, in place of rehearsals here.")]
Show = Annotated[bool, typer.Option("--show", help="Only show the trials so far.")]


@app.command()
def search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The search's name; alone, it continues that search.")],
    profile: Annotated[str | None, typer.Option(help="A name in jobs/profiles/, or a path.")] = None,
    over: Over = None,
    file: File = None,
    sets: Set = None,
    method: Annotated[str | None, typer.Option(help="grid, tpe or random.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of tpe and random.")] = None,
    at_once: Annotated[int | None, typer.Option(help="Trials that run at the same time.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed by which trials are drawn.")] = None,
    dollars: Dollars = None,
    launch: Launch = False,
    cloud: Cloud = None,
    yes: Yes = False,
    show: Show = False,
) -> None:
    """Search for better values of a profile's keys: choose by validation, and judge the winner once on the test set."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.runs.trial_record import find_choice
    from cortex.search.search_session import look_at
    from cortex.search.search_state import SearchState
    from cortex.search.search_table import print_trials
    from cortex.settings import Settings

    settings, console = Settings(), Console()
    store = open_store(settings.bucket_url)
    given = {"profile": profile, "method": method, "trials": trials, "at_once": at_once, "seed": seed}
    values = _read_values({key: value for key, value in given.items() if value is not None}, over or (), file)
    if show:
        state = SearchState.load(store, name)
    elif values or sets:
        state = _begin(store, name, values, sets, dollars, launch=launch, settings=settings)
    else:
        state = _continue(store, name, dollars)
    if not show:
        with _only_searcher(settings, name):
            _work(state, settings, LaunchOptions(None, cloud, yes, False, False, False))
    outcomes = look_at(state)
    winner = next((one.trial.run for one in outcomes if find_choice(store, one.trial.run)), None)
    print_trials(state, outcomes, winner, console)
    if winner:
        print(f"`cortex show {winner}` has the winner's verdict")


def _read_values(given: dict[str, Any], over: "list[str] | tuple[str, ...]", file: Path | None) -> dict[str, Any]:
    """The search's keys: those of the file, and above them those of the options."""
    from cortex.search.search_space import read_over
    from cortex.yaml_reader import read_yaml

    values: dict[str, Any] = {}
    if file is not None:
        try:
            found: Any = read_yaml(file, exponents=True)
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {file}: give the path of a search's YAML file") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{file} is not a YAML mapping: write profile, over and the like")
        values = dict(found)
    if over:
        values["over"] = dict(read_over(text) for text in over)
    return {**values, **given}


def _begin(
    store: "Store",
    name: str,
    values: dict[str, Any],
    sets: list[str] | None,
    dollars: float | None,
    *,
    launch: bool,
    settings: "Settings",
) -> "SearchState":
    """Begin a search, once all of its trials are known to be possible; or find it as it was begun."""
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.context import check_run_id
    from cortex.search.search_plan import check_plan, read_search
    from cortex.search.search_state import SearchState

    check_run_id(name)
    asked = read_search({**values, **({} if dollars is None else {"dollars": dollars})}, f"search {name}")
    profile = load_profile(asked.profile, None, sets)
    _check_place(profile, asked.dollars, launch=launch)
    plan = asked.plan(profile, launch=launch)
    check_plan(plan)
    if asked.dollars is not None:
        _cap(profile, asked.dollars).require_one_run()
    if not launch:
        profile.domain.check(settings)
    state = SearchState.begin(store, name, plan)
    if asked.dollars is not None:
        state.set_cap(asked.dollars)
    return state


def _continue(store: "Store", name: str, dollars: float | None) -> "SearchState":
    from cortex.search.search_state import SearchState

    state = SearchState.load(store, name)
    if dollars is not None:
        _check_place(state.plan.base(), dollars, launch=state.plan.launch)
        _cap(state.plan.base(), dollars).require_one_run()
        state.set_cap(dollars)
    return state


def _check_place(profile: "Profile", dollars: float | None, *, launch: bool) -> None:
    """Check that the profile's trials can run where they are asked to, and that the cap has a meaning there."""
    if launch and dollars is None:
        raise UsageError("a search on rented machines needs a cap for all trials together: give --dollars")
    if not launch and dollars is not None:
        raise UsageError("rehearsals on this machine cost nothing: leave --dollars out, or train elsewhere by --launch")
    if not launch and profile.hardware.device != "cpu":
        raise UsageError(f"profile {profile.name} trains on GPUs: rent them by --launch, or search over a rehearsal")


def _cap(profile: "Profile", dollars: float) -> "SearchCap":
    """The cap, with the median cost of one run that rents spot machines first; a profile for CPUs costs nothing."""
    from cortex.fleet.estimate import estimate_run
    from cortex.fleet.estimate.policies import Deadline
    from cortex.fleet.estimate.training_prices import training_offers
    from cortex.search.search_cap import SearchCap

    if profile.hardware.device == "cpu":
        return SearchCap(dollars, 0.0, profile.budget.dollars)
    found = estimate_run(profile, training_offers(profile))
    one_run = next(policy for policy in found.policies if policy.policy == Deadline().name).dollars.p50
    return SearchCap(dollars, one_run, profile.budget.dollars)


@contextmanager
def _only_searcher(settings: "Settings", name: str) -> Generator[None]:
    """Hold the search's lock on this machine; the kernel releases it when this program ends."""
    folder = settings.work(name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "search.lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(f"search {name} is at work in another program here: wait for it, or stop it") from error
        yield


def _work(state: "SearchState", settings: "Settings", options: LaunchOptions) -> None:
    """Run the trials that are left, here or on rented machines."""
    from cortex.search.local_trials import LocalTrials
    from cortex.search.search_session import SearchSession

    plan = state.plan
    print(f"search {state.name}: {plan.trials} trials by {plan.method}, {plan.at_once} at once", flush=True)
    try:
        if plan.launch:
            _rented(state, settings, options).run()
        else:
            with LocalTrials(state.store, settings, plan.stage).closing() as trials:
                SearchSession(state, trials, settings, report=_say).run()
    except KeyboardInterrupt as interruption:
        what = "runs in the cloud go on, and" if plan.launch else "what is done is kept, and"
        print(f"interrupted; {what} `cortex search {state.name}` goes on from there", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interruption


def _rented(state: "SearchState", settings: "Settings", options: LaunchOptions) -> "SearchSession":
    """The session of a search on rented machines, after the question."""
    from dataclasses import replace

    from cortex.fleet.launch.jobs import SkyPilotJobs
    from cortex.fleet.launch.run_launch import require_bucket
    from cortex.search.search_session import SearchSession
    from cortex.verbs.rented_trials import RentedTrials

    require_terminal(options.yes)
    require_bucket(settings.bucket_url)
    dollars = state.cap()
    if dollars is None:
        raise UsageError(f"search {state.name} has no cap: give --dollars")
    cap = _cap(state.plan.base(), dollars)
    _say(f"one run is estimated to cost ${cap.one_run:.2f}; all together may cost ${cap.dollars:.2f} at most")
    if not options.yes:
        typer.confirm(f"Launch the trials of search {state.name}?", abort=True)
    trials = RentedTrials(state.store, SkyPilotJobs(), replace(options, yes=True), state.plan.stage)
    return SearchSession(state, trials, settings, cap, report=_say)


def _say(line: str) -> None:
    print(line, flush=True)
