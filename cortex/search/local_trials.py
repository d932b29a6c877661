"""Trials as rehearsals on this machine, each in a program of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cortex.artifacts.store import Store
from cortex.errors import error_of
from cortex.process import running
from cortex.profiles.profile import Profile
from cortex.settings import Settings

LEAVING = 120.0
"""Seconds in which a rehearsal that is interrupted saves a checkpoint; then it is ended."""

_POLL_SECONDS = 0.5


class LocalTrials:
    """`cortex rehearse` for each trial. Their output goes into a log beside those of their stages."""

    def __init__(self, store: Store, settings: Settings, stage: str) -> None:
        """`stage` is the last training stage, after which a trial ends."""
        self._store, self._settings, self._stage = store, settings, stage
        self._programs: dict[str, tuple[ExitStack, subprocess.Popen[str]]] = {}

    def start(self, run: str, profile: Profile) -> None:
        self._begin(run, ["--through", self._stage])

    def running(self, run: str) -> bool:
        if run not in self._programs:
            return False
        stack, program = self._programs[run]
        if program.poll() is None:
            return True
        del self._programs[run]
        stack.close()
        return False

    def stop(self, run: str) -> None:
        stack, program = self._programs.pop(run)
        # An interrupted rehearsal lets its stage save; one that was started to ignore interruptions gets SIGTERM.
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        program.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            program.wait(LEAVING)
        stack.close()

    def log_of(self, run: str) -> str:
        return str(self._log(run))

    def judge(self, run: str, profile: Profile, dollars: float | None) -> None:
        program = self._begin(run, [])
        while self.running(run):
            time.sleep(_POLL_SECONDS)
        if program.returncode:
            raise error_of(program.returncode, f"run {run} was chosen, and its judging failed: see {self._log(run)}")

    @contextmanager
    def closing(self) -> Generator["LocalTrials"]:
        """Stop all that still runs when the block is left: what it made is kept."""
        try:
            yield self
        finally:
            for run in list(self._programs):
                self.stop(run)

    def _begin(self, run: str, words: list[str]) -> "subprocess.Popen[str]":
        log = self._log(run)
        log.parent.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, "CORTEX_HOME": str(self._settings.home.absolute()), "CORTEX_BUCKET": self._store.url}
        stack = ExitStack()
        output = stack.enter_context(log.open("a", encoding="utf-8"))
        command = [sys.executable, "-m", "cortex", "rehearse", "--run", run, *words]
        program = stack.enter_context(running(command, env=variables, stdout=output, stderr=subprocess.STDOUT))
        self._programs[run] = stack, program
        return program

    def _log(self, run: str) -> Path:
        return self._settings.work(run) / "logs" / "rehearsal.log"
