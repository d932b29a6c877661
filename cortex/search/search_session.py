"""The work of a search: rounds of trials, those behind stopped, the best validated one chosen, and that one judged."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from cortex.errors import CortexError, DataError, StageError
from cortex.profiles.profile import Profile
from cortex.runs.trial_record import Choice, TrialRecord, enter_choice, find_choice
from cortex.search.search_cap import SearchCap
from cortex.search.search_plan import SearchPlan, metric_of
from cortex.search.search_state import SearchState
from cortex.search.trial_drawing import Parameters, is_behind, next_round
from cortex.search.trial_outcome import Outcome, TrialFollower
from cortex.settings import Settings


class Trials(Protocol):
    """The place where trials run: this machine, or rented ones."""

    def start(self, run: str, profile: Profile) -> None:
        """Begin a run, or continue it, up to its last training stage.

        Raises:
            CortexError: it cannot be started.
        """
        ...

    def running(self, run: str) -> bool:
        """True while a run that was started is at work, or waits for a machine."""
        ...

    def stop(self, run: str) -> None:
        """Stop a run; what it made is kept."""
        ...

    def log_of(self, run: str) -> str:
        """The place of a run's log, in words."""
        ...

    def judge(self, run: str, profile: Profile, dollars: float | None) -> None:
        """Continue a run through its evaluation to its release, and wait for the end.

        `dollars` is the most that the run may cost in all, if that is more than its own cap.

        Raises:
            CortexError: a stage failed.
        """
        ...


@dataclass
class SearchSession:
    """One program's work at a search. It may be killed at any moment, and continued by another."""

    state: SearchState
    trials: Trials
    settings: Settings
    cap: SearchCap | None = None
    """None where trials cost nothing."""
    report: Callable[[str], None] = print
    pause: Callable[[], None] = lambda: time.sleep(1.0)
    """Waits between two looks at the trials under way."""
    ended: list[Outcome] = field(default_factory=list[Outcome])
    """Outcomes of whole rounds, in the order of their trials."""
    capped: bool = False
    """True once no further trial fitted under the cap."""
    _followers: dict[int, TrialFollower] = field(default_factory=dict[int, TrialFollower])

    def run(self) -> Outcome:
        """Run the trials that are left, choose one, and judge it. Returns the winner.

        Raises:
            StageError: every trial of the first round failed, or one was stopped by others.
            DataError: no trial finished.
        """
        chosen = self._chosen()
        if chosen:
            return self._judge(chosen)
        while not self.capped and (drawn := next_round(self.state.plan, self.ended)):
            self._run_round(drawn)
            if self.ended and all(one.state == "failed" for one in self.ended):
                raise StageError(
                    f"all {len(self.ended)} trials failed, so that the search does not go on; the first, run "
                    f"{self.ended[0].trial.run}: {self.ended[0].reason}"
                )
        winner = choose(self.ended)
        choice = Choice(search=self.state.name, trials=len(self.ended))
        enter_choice(self.state.store, winner.trial.run, choice)
        return self._judge(winner)

    def _chosen(self) -> Outcome | None:
        """The winner, if an earlier program chose it: a choice stands, even under a higher cap."""
        trials = self.state.trials()
        found = next((trial for trial in trials if find_choice(self.state.store, trial.run)), None)
        return self._follower(found).look() if found else None

    def _judge(self, winner: Outcome) -> Outcome:
        run = winner.trial.run
        self.report(f"trial {winner.trial.number} is chosen by validation, {winner.value:.6g}: run {run} is judged")
        profile = self.state.make_run(winner.trial, self.settings)
        # Nothing else of the search costs anything any more, so that the winner may have all that is left.
        dollars = self.cap and self.cap.for_winner(winner, look_at(self.state))
        self.trials.judge(run, profile, dollars)
        return winner

    def _run_round(self, drawn: Sequence[Parameters]) -> None:
        """Run a round's trials until each has ended, or until none fits under the cap any more."""
        first = len(self.ended) + 1
        known = self.state.trials()[first - 1 :]
        waiting = list(enumerate(drawn, first))
        under_way: dict[int, TrialFollower] = {}
        ended: dict[int, Outcome] = {}
        for trial, (number, parameters) in zip(known, waiting, strict=False):
            if trial.parameters != parameters:
                raise DataError(
                    f"trial {number} of search {self.state.name} has other values than are drawn now, by another "
                    "version of the code or of Optuna: continue it with the version that began it"
                )
            self._continue(trial, under_way, ended)
        del waiting[: len(known)]
        while waiting or under_way:
            looks = {number: self._look(follower) for number, follower in under_way.items()}
            for number, look in looks.items():
                if look.state != "under way":
                    ended[number] = look
                    del under_way[number]
            left = [look for look in looks.values() if look.state == "under way"]
            while waiting:
                dollars = self._dollars([*self.ended, *ended.values(), *left])
                if dollars is None:
                    break
                number, parameters = waiting.pop(0)
                started = self._start(self.state.begin_trial(number, parameters, dollars), ended)
                if started:
                    under_way[number] = started
                    left.append(Outcome(started.trial, "under way"))
            if waiting and not under_way:
                self.capped = True
                self.report(f"the cap allows no further trial: {len(waiting)} of this round were not begun")
                break
            if under_way:
                self.pause()
        self.ended += [ended[number] for number in sorted(ended)]

    def _continue(self, trial: TrialRecord, under_way: dict[int, TrialFollower], ended: dict[int, Outcome]) -> None:
        """Take up a trial that was begun before: it has ended, is still running, or is started again."""
        follower = self._follower(trial)
        look = judge_curve(self.state.plan, follower.look(), self.ended)
        if look.state == "under way" and not self.trials.running(trial.run):
            restarted = self._start(trial, ended)
            if restarted:
                under_way[trial.number] = restarted
        else:
            under_way[trial.number] = follower

    def _start(self, trial: TrialRecord, ended: dict[int, Outcome]) -> TrialFollower | None:
        """Start a trial; None where its profile refuses its values, which counts as a failed trial."""
        try:
            profile = self.state.plan.trial_profile(trial.parameters, trial.dollars)
        except CortexError as error:
            ended[trial.number] = Outcome(trial, "failed", reason=str(error))
            self.report(f"trial {trial.number} failed: {error}")
            return None
        words = ", ".join(f"{key} {value}" for key, value in trial.parameters.items())
        self.report(f"trial {trial.number}, run {trial.run}: {words}")
        self.state.make_run(trial, self.settings)
        self.trials.start(trial.run, profile)
        return self._follower(trial)

    def _look(self, follower: TrialFollower) -> Outcome:
        """A look at a trial under way; it is stopped if it is behind."""
        trial = follower.trial
        alive = self.trials.running(trial.run)  # asked first, so that a trial that just finished is seen as such
        look = judge_curve(self.state.plan, follower.look(), self.ended)
        if look.state == "behind" and alive:
            self.trials.stop(trial.run)
        if look.state == "under way" and not alive:
            raise StageError(
                f"run {trial.run} of trial {trial.number} was stopped before it had ended (see "
                f"{self.trials.log_of(trial.run)}); what it made is kept, and `cortex search {self.state.name}` goes on"
            )
        if look.state != "under way":
            figure = "" if look.value is None else f", validated {look.value:.6g}"
            self.report(f"trial {trial.number} {look.state}{figure}{': ' if look.reason else ''}{look.reason}")
        return look

    def _dollars(self, outcomes: Sequence[Outcome]) -> float | None:
        """The cap of one more trial's run; None where none fits."""
        if self.cap is None:
            return self.state.plan.base().budget.dollars
        # Machines report their last minutes after a trial has ended, so all ledgers are read again.
        return self.cap.next_trial([replace(one, spent=self._follower(one.trial).look().spent) for one in outcomes])

    def _follower(self, trial: TrialRecord) -> TrialFollower:
        if trial.number not in self._followers:
            plan = self.state.plan
            self._followers[trial.number] = TrialFollower(self.state.store, trial, plan.stage, metric_of(plan.base()))
        return self._followers[trial.number]


def judge_curve(plan: SearchPlan, look: Outcome, earlier: Sequence[Outcome]) -> Outcome:
    """The outcome with regard to earlier rounds: a trial is behind, even if it finished before it could be stopped.

    Validations after the step at which it fell behind do not count, since another time they might be missing.
    """
    if look.state == "failed":
        return look
    step = is_behind(plan, look.curve, earlier)
    if step is None:
        return look
    curve = {known: loss for known, loss in look.curve.items() if known <= step}
    return Outcome(look.trial, "behind", curve, look.spent, f"behind the median of earlier trials at step {step}")


def look_at(state: SearchState) -> list[Outcome]:
    """The outcomes of all trials that were begun, as the bucket has them now."""
    plan, found = state.plan, list[Outcome]()
    for trial in state.trials():
        earlier = found[: (trial.number - 1) // plan.at_once * plan.at_once]
        look = TrialFollower(state.store, trial, plan.stage, metric_of(plan.base())).look()
        found.append(judge_curve(plan, look, earlier))
    return found


def choose(outcomes: Sequence[Outcome]) -> Outcome:
    """The finished trial with the lowest validated loss; of equals the first.

    Raises:
        DataError: none finished.
    """
    finished = [
        (one.value, one.trial.number, one) for one in outcomes if one.state == "finished" and one.value is not None
    ]
    if not finished:
        raise DataError("no trial of the search finished, so that none can be chosen: see the trials' runs")
    return min(finished, key=lambda each: each[:2])[2]
