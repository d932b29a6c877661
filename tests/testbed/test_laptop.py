"""The launching machine is one of its own: it loses its network while a run trains, and the run ends all the same."""

import json
import os
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cortex.fleet.names import job_name
from cortex.process import running
from cortex.runs.profile_file import PROFILES
from tests.fleet.session_manager import SessionManager
from tests.testbed.conftest import Inside, until
from tests.testbed.network import GATEWAY, SKYPILOT_PORT
from tests.testbed.tail import followed
from tests.testbed.tasks import bare_pipeline
from tests.testbed.test_pipeline import SMALL

RUN, LAPTOP, ADDRESS = "windowed", "laptop", "172.31.250.1"
SESSIONS = f"{GATEWAY}:46581"
"""Where the bed's stand-in for Session Manager's agent listens, which leads to SkyPilot on the server's loopback."""

PORT = 46590
"""On the laptop's own loopback."""

CABLE = """
import sys
from tests.testbed.network import connect, disconnect
connect(sys.argv[1], sys.argv[2], None) if len(sys.argv) > 2 else disconnect(sys.argv[1], None)
"""


@dataclass(frozen=True)
class Laptop:
    """A network, a loopback and a home apart from those of SkyPilot's server, joined to the cloud by one cable."""

    inside: Inside
    home: Path
    manager: SessionManager

    def run(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join((str(self.manager.folder), self.inside.bed.variables()["PATH"]))
        return self.inside.run(
            "ip", "netns", "exec", LAPTOP, "env", f"PATH={path}", *words,
            HOME=str(self.home),
            CORTEX_HOME=str(self.home / "cortex"),
            CORTEX_SERVER="i-0123456789abcdef0",
            CORTEX_PREFLIGHT_SECONDS="300",
            SKYPILOT_API_SERVER_ENDPOINT=f"http://127.0.0.1:{PORT}",
        )  # fmt: skip

    def cut(self) -> None:
        """Take its cable away."""
        self.inside.python(CABLE, LAPTOP)


@pytest.fixture
def laptop(inside: Inside) -> Generator[Laptop]:
    home = inside.folder / LAPTOP
    (home / ".sky").mkdir(parents=True)
    # It has SkyPilot's price lists, as every client has, and no account of SkyPilot's server.
    (home / ".sky" / "catalogs").symlink_to(inside.bed.place.home / ".sky" / "catalogs")
    manager = SessionManager(home / "bin", SESSIONS)
    inside.python(CABLE, LAPTOP, ADDRESS)
    agent = inside.bed.command([manager.folder / "session-manager-plugin", SESSIONS, f"127.0.0.1:{SKYPILOT_PORT}"])
    with running(agent, env=inside.bed.variables()):
        yield Laptop(inside, home, manager)


def test_a_run_ends_as_if_nothing_had_been_once_its_laptop_is_cut_off(inside: Inside, laptop: Laptop) -> None:
    raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
    for section in ("data", "teacher", "sft"):
        raw[section] |= SMALL[section]
    profile = inside.write("windowed.yaml", yaml.safe_dump(raw | {"name": "windowed"}))
    pipeline = bare_pipeline(inside.folder / "windowed-pipeline.yaml", ("data", "sft"))
    words = ["--profile", profile, "--run", RUN, "--pipeline", pipeline, "--yes", "--no-follow"]
    launched = laptop.run("cortex", "launch", *words)
    assert launched.returncode == 0, launched.stdout[-3000:] + launched.stderr[-3000:]
    assert laptop.manager.asked, "the launch went through a session"
    with followed(inside.bed, RUN) as tail:
        until(lambda: tail.of("progress"), "the first step of sft", every=0.2)
        laptop.cut()
        assert laptop.run("cortex", "status", RUN).returncode != 0, "it is cut off"
        until(lambda: tail.of("stage_finished", stage="sft"), "the end of sft", every=0.5)
    until(lambda: inside.jobs()[job_name(RUN)] == "SUCCEEDED", "the job's end", every=5)
    until(lambda: not inside.machines(), "the return of the machine")
    shown = json.loads(inside.succeed("cortex", "status", RUN, "--json"))
    assert (shown["attempts"], shown["preemptions"]) == (3, 0), "data, label and sft were begun once each"
