"""A Tinker service on this machine: its clients' checkpoints outlive it, and the cookbook's loop runs against it."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cortex.local.environments import environment, find_python, on_path
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import free_port

pytestmark = [
    pytest.mark.rehearsal,
    pytest.mark.skipif(find_python("tinker") is None, reason="expected: SkyRL needs Python 3.12, which is not here"),
]

START_SECONDS, CLIENT_SECONDS = 180.0, 300.0


class Place:
    """A home, a bucket and a base model, and the programs of the image that use them."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.base = root, root / "home", root / "base"
        self._made = environment("tinker", Settings())
        self._run("tests.training_api.make_base", self.base)

    @contextmanager
    def served(self) -> Generator[str]:
        """A server in a process group of its own, which is killed in the end; its address."""
        port = free_port()
        words = [self._made / "bin" / "python", "-m", "cortex", "tinker", self.base, "--port", str(port)]
        with (self.root / f"server-{port}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(words, env=self._variables, stdout=log, stderr=log, start_new_session=True)
            try:
                self._wait(process, f"http://127.0.0.1:{port}", Path(log.name))
                yield f"http://127.0.0.1:{port}"
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def client(self, url: str, steps: int, *path: str) -> dict[str, object]:
        """The account of a client that trains `steps` steps, from a saved path if there is one."""
        return json.loads(self._run("tests.training_api.client", url, self.base, steps, *path).splitlines()[-1])

    def cookbook(self, url: str, batches: int) -> list[dict[str, float]]:
        """The metrics that the cookbook's loop logs of each batch."""
        folder = self.root / "cookbook"
        self._run("tests.training_api.cookbook_loop", url, self.base, folder, batches)
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]

    def _run(self, module: str, *words: object) -> str:
        command = [str(self._made / "bin" / "python"), "-m", module, *map(str, words)]
        done = subprocess.run(
            command,
            check=False,
            env=self._variables,
            cwd=self.root,
            capture_output=True,
            encoding="utf-8",
            timeout=CLIENT_SECONDS,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def _wait(self, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < deadline, "it does not answer"
            try:
                with urllib.request.urlopen(f"{url}/api/v1/healthz", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)

    @property
    def _variables(self) -> dict[str, str]:
        own = {"CORTEX_HOME": str(self.home), "CORTEX_BUCKET": str(self.root / "bucket"), "HF_HUB_OFFLINE": "1"}
        return {**os.environ, **on_path(self._made), **own, "PYTHONPATH": str(CHECKOUT), "TINKER_TELEMETRY": "0"}


@pytest.mark.drawn("runs")
def test_a_machine_is_lost_and_its_clients_go_on_from_what_they_had_saved(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.served() as url:
        first = place.client(url, 4)
        expected = place.client(url, 2, str(first["path"]))
    shutil.rmtree(place.home)
    with place.served() as url:
        again = place.client(url, 2, str(first["path"]))
        batches = place.cookbook(url, 2)
    losses, later = first["losses"], again["losses"]
    assert isinstance(losses, list) and isinstance(later, list)
    assert losses[-1] < losses[0], "it learns"
    assert later == expected["losses"], "the optimizer's moments came back, too"
    assert later[0] < (losses[0] + losses[-1]) / 2, "it did not begin anew"
    assert [row["progress/batch"] for row in batches] == [0, 1]
    assert all("env/all/reward/total" in row for row in batches)
