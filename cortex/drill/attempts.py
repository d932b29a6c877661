"""Running one side on a machine until it is done, or until it is clear that it never will be."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cortex.drill.breaks import Break
from cortex.drill.sides import Seen, Side, error_of
from cortex.errors import RefusedError, StageError
from cortex.process import kill_group, running

RESTARTS = 3
"""Number of attempts of a failing program, which is restarted as a managed job is; two equal failures end it sooner."""

SILENCE_SECONDS = 15.0
"""Seconds after which the drill ends a bare trainer that was made to hang: nothing else would."""

ATTEMPT_SECONDS = 240.0
"""Seconds after which an attempt counts as stuck."""


@dataclass(frozen=True)
class Attempt:
    """One start of the program, and how it went."""

    code: int | None
    """Its exit code; None where the drill ended it because it hung."""
    began: float
    seen: Seen
    error: str | None


@dataclass
class Outcome:
    """All attempts on one machine, and the weights in the end."""

    attempts: list[Attempt] = field(default_factory=list[Attempt])
    weights: str | None = None
    others: list[int] = field(default_factory=list[int])
    """Exit codes of instances that ran at the same time."""

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def seconds(self) -> float | None:
        """From the first start to the first new step, failed attempts included."""
        firsts = [attempt.seen.first for attempt in self.attempts if attempt.seen.first and attempt.code == 0]
        return firsts[0] - self.attempts[0].began if firsts else None


class Runner:
    """Starts programs with the Python of a folder: a warm one, or an environment's own."""

    def __init__(self, programs: Path, variables: Mapping[str, str], stopping: threading.Event) -> None:
        self._programs, self._variables, self._stopping = programs, variables, stopping

    @contextmanager
    def start(
        self, side: Side, machine: Path, log: Path, one: Break | None = None
    ) -> Generator["subprocess.Popen[str]"]:
        """Start one attempt; leaving the block ends it."""
        variables = {**self._variables, **side.variables(machine), **(one.variables() if one else {})}
        command = side.command(machine, self._programs)
        with (
            log.open("w", encoding="utf-8") as output,
            running(command, env=variables, cwd=machine, stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            try:
                yield process
            finally:
                kill(process)

    def attempt(self, side: Side, machine: Path, *, silence: Break | None = None) -> Attempt:
        """Run a side to its end; an attempt that hangs at `silence` is ended after a while."""
        log, began, held = _log(machine), time.time(), 0.0
        with self.start(side, machine, log, silence) as process:
            while process.poll() is None:
                self.pause()
                if silence and silence.reached and not held:
                    held = time.time()
                stuck = side.name == "bare" and held and time.time() - held > SILENCE_SECONDS
                if stuck:
                    return Attempt(None, began, side.seen(machine, log, began), None)
                if time.time() - began > ATTEMPT_SECONDS:
                    raise StageError(f"{log}: the {side.name} side took longer than {ATTEMPT_SECONDS:.0f} s")
            code = process.returncode
        return Attempt(code, began, side.seen(machine, log, began), error_of(log) if code else None)

    def run_until_done(self, side: Side, machine: Path, *, silence: Break | None = None) -> Outcome:
        """Run a side, and restart it as long as that may help."""
        outcome = Outcome()
        for _ in range(1 + RESTARTS):
            attempt = self.attempt(side, machine, silence=silence)
            outcome.attempts.append(attempt)
            alike = [one.error for one in outcome.attempts[-2:]]
            if attempt.code in (0, RefusedError.exit_code):
                break
            if attempt.code is not None and len(alike) == 2 and alike[0] == alike[1] and attempt.code != 75:
                break
        if outcome.last.code == 0:
            outcome.weights = side.weights(machine)
        return outcome

    def until(self, one: Break, process: "subprocess.Popen[str]") -> None:
        """Wait until a program stopped at its break.

        Raises:
            StageError: it ended without reaching the break.
        """
        self.wait(lambda: one.reached, process, f"came to {one.what!r}")

    def wait(self, happened: Callable[[], bool], process: "subprocess.Popen[str]", what: str) -> None:
        """Wait until a condition holds while a program runs."""
        end = time.monotonic() + ATTEMPT_SECONDS
        while not happened():
            if process.poll() is not None or time.monotonic() > end:
                raise StageError(f"the program under test never {what} (exit code {process.returncode})")
            self.pause()

    def pause(self) -> None:
        """Wait a moment; raise if the drill was interrupted."""
        if self._stopping.wait(0.02):
            raise KeyboardInterrupt


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a program with all that it started, as a machine's end would, and wait until all of it is gone."""
    kill_group(process)
    process.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _log(machine: Path) -> Path:
    return machine / f"attempt-{len(list(machine.glob('attempt-*.log'))) + 1}.log"
