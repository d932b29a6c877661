"""The local runner: the stages of `sky.yaml`, in order, each in its image's place on this machine."""

import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.bases.base_folder import check_base
from cortex.console import Console
from cortex.errors import StageError
from cortex.local.places import Place, Places
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.live import LiveStages
from cortex.runs.pipeline import Task, read_pipeline
from cortex.runs.run_secret import RunSecret, bind_run
from cortex.runs.run_state import RunFollower
from cortex.runs.stage_list import find_stage, up_to
from cortex.settings import Settings

LAST_LINES = 20
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Rehearsal:
    """A run on this machine."""

    run: str
    profile: Profile
    store: Store
    settings: Settings
    console: Console
    places: Places
    through: str | None = None
    """The last stage to run; None: all."""

    def start(self) -> None:
        """Run the stages that are not done yet, in order.

        Raises:
            ConfigError: places cannot be made on this machine; no run is begun then.
            DataError: the user's files cannot be used; no run is begun then.
            StageError: a stage failed; the last lines of its log were printed.
        """
        check_base(self.profile.model.base)
        self.places.check()
        self._check_domain()
        create_run(self.store, self.run, self.profile, rehearsal=True)
        bind_run(self.store, RunSecret.of(self.run, self.settings), self.profile)
        tasks = [(task, self._wanted(task)) for task in read_pipeline()]
        follower = RunFollower(self.store, self.run, [stage for _, wanted in tasks for stage in wanted])
        left = [(task, stage) for task, wanted in tasks for stage in wanted if not self._finished(stage)]
        images = list(dict.fromkeys(task.image for task, _ in left))
        pool = ThreadPoolExecutor(max_workers=self.places.at_once, thread_name_prefix="place")
        try:
            places = {image: pool.submit(self.places.make, image) for image in images}
            with LiveStages(follower, self.console) as live:
                for task, stage in left:
                    live.waiting_for = f"{self.places.kind} {task.image}"
                    place = self._wait_for(places[task.image], live)
                    live.waiting_for = None
                    self._run_stage(stage, place, live)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def log(self, stage: str) -> Path:
        """The file that holds a stage's output, all attempts together."""
        return self.settings.work(self.run) / "logs" / f"{stage}.log"

    def _check_domain(self) -> None:
        """Check the domain's source now, not minutes later, when the places have been made."""
        if not self._finished("data"):
            self.profile.domain.check(self.settings)

    def _wanted(self, task: Task) -> list[str]:
        wanted = [stage for stage in task.stages if find_stage(stage).wanted(self.profile)]
        return up_to(wanted, self.through)

    def _finished(self, stage: str) -> bool:
        return find(self.store, artifact_prefix(self.run, stage)) is not None

    @staticmethod
    def _wait_for(future: "Future[Place]", live: LiveStages) -> Place:
        while not future.done():
            live.refresh()
            time.sleep(_POLL_SECONDS)
        return future.result()

    def _run_stage(self, stage: str, place: Place, live: LiveStages) -> None:
        log = self.log(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            log.open("a", encoding="utf-8") as output,
            place.running(["run", stage, "--run", self.run], output) as process,
        ):
            while process.poll() is None:
                live.refresh()
                time.sleep(_POLL_SECONDS)
            code = process.returncode
        live.refresh()
        if code:
            live.stop()
            self._print_log_end(stage, log)
            error = StageError(
                f"{stage} failed; what is done is kept: `make rehearse RUN={self.run}` goes on from there"
            )
            error.exit_code = code if code > 0 else 1
            raise error

    def _print_log_end(self, stage: str, log: Path) -> None:
        with log.open(errors="replace", encoding="utf-8") as lines:
            last = deque(lines, maxlen=LAST_LINES)
        self.console.print(Text.assemble((f"{stage} failed", "red"), f": the last lines of {log}:"), soft_wrap=True)
        for line in last:
            self.console.print("  " + line.rstrip(), soft_wrap=True)
        sys.stdout.flush()
