"""The local runner: the stages of `sky.yaml`, in order, each in its image's environment, on this machine."""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.dataset import make_examples
from cortex.environments import environment, on_path
from cortex.errors import StageError
from cortex.live import LiveStages
from cortex.market.config import FilesConfig
from cortex.market.files import FilesSource
from cortex.process import running
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.pipeline import Task, read_pipeline
from cortex.runs.profile import Profile
from cortex.runs.report import RunFollower
from cortex.runs.stages import find_stage
from cortex.settings import Settings

LAST_LINES = 20
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Rehearsal:
    """One run on this machine."""

    run: str
    profile: Profile
    store: Store
    settings: Settings
    console: Console

    def start(self) -> None:
        """Run what is not done yet, in order.

        Raises:
            DataError: the profile's own files cannot be used; no run is begun then.
            StageError: a stage failed; the last lines of its log were printed.
        """
        self._check_files()
        create_run(self.store, self.run, self.profile)
        tasks = [(task, self._wanted(task)) for task in read_pipeline()]
        stages = [stage for _, wanted in tasks for stage in wanted]
        images = list(dict.fromkeys(task.image for task, wanted in tasks if wanted))
        follower = RunFollower(self.store, self.run, stages)
        pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="environment")
        try:
            environments = {image: pool.submit(environment, image, self.settings) for image in images}
            with LiveStages(follower, self.console) as live:
                for task, wanted in tasks:
                    for stage in wanted:
                        live.waiting_for = f"environment {task.image}"
                        folder = self._built(environments[task.image], live)
                        live.waiting_for = None
                        self._run_stage(stage, folder, live)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def log(self, stage: str) -> Path:
        """Where a stage's output is kept, all attempts together."""
        return self.settings.work(self.run) / "logs" / f"{stage}.log"

    def _check_files(self) -> None:
        """Find what is wrong with a user's files now, not minutes later, when environments were built for them."""
        data = self.profile.data
        if isinstance(data.source, FilesConfig) and not find(self.store, artifact_prefix(self.run, "data")):
            make_examples(FilesSource(data.source), data, self.profile.style)

    def _wanted(self, task: Task) -> list[str]:
        return [stage for stage in task.stages if find_stage(stage).wanted(self.profile)]

    @staticmethod
    def _built(future: "Future[Path]", live: LiveStages) -> Path:
        while not future.done():
            live.refresh()
            time.sleep(_POLL_SECONDS)
        return future.result()

    def _run_stage(self, stage: str, folder: Path, live: LiveStages) -> None:
        log = self.log(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [folder / "bin" / "python", "-m", "cortex", "run", stage, "--run", self.run]
        with (
            log.open("a") as output,
            running(command, env=self._variables(folder), stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            while process.poll() is None:
                live.refresh()
                time.sleep(_POLL_SECONDS)
            code = process.returncode
        live.refresh()
        if code:
            live.stop()
            self._tell(stage, log)
            error = StageError(
                f"{stage} failed; what is done is kept: `make rehearse RUN={self.run}` goes on from there"
            )
            error.exit_code = code if code > 0 else 1
            raise error

    def _variables(self, folder: Path) -> Mapping[str, str]:
        settings = {"CORTEX_HOME": str(self.settings.home.absolute()), "CORTEX_BUCKET": self.store.url}
        return {**os.environ, **on_path(folder), **settings}

    def _tell(self, stage: str, log: Path) -> None:
        with log.open(errors="replace") as lines:
            last = deque(lines, maxlen=LAST_LINES)
        self.console.print(f"[red]{stage} failed[/red]: the last lines of {log}:", soft_wrap=True)
        for line in last:
            self.console.print("  " + line.rstrip(), markup=False, highlight=False, soft_wrap=True)
        sys.stdout.flush()
