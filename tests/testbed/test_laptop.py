"""The road test from a laptop that loses its network in the midst: all of it passes, and nothing is left."""

import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.process import running
from cortex.profiles.profile_file import PROFILES
from tests.fleet.clouds.session_manager import SessionManager
from tests.testbed.catalog import ZONES
from tests.testbed.conftest import RUNNING, Inside, until
from tests.testbed.network import GATEWAY, SKYPILOT_PORT
from tests.testbed.tail import followed
from tests.testbed.tasks import bare_pipeline
from tests.testbed.test_pipeline import SMALL

LAPTOP, ADDRESS = "laptop", "172.31.250.1"
SESSIONS = f"{GATEWAY}:46581"
"""Address of the bed's stand-in for Session Manager's agent, which leads to SkyPilot on the server's loopback."""

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

    def command(self, *words: str | Path) -> list[str]:
        path = os.pathsep.join((str(self.manager.folder), self.inside.bed.variables()["PATH"]))
        return self.inside.bed.command(["ip", "netns", "exec", LAPTOP, "env", f"PATH={path}", *words])

    @property
    def variables(self) -> dict[str, str]:
        return self.inside.bed.variables() | {
            "HOME": str(self.home),
            "CORTEX_HOME": str(self.home / "cortex"),
            "CORTEX_SERVER": "i-0123456789abcdef0",
            "CORTEX_PREFLIGHT_SECONDS": "300",
            "SKYPILOT_API_SERVER_ENDPOINT": f"http://127.0.0.1:{PORT}",
        }

    @contextmanager
    def unplugged(self) -> Generator[None]:
        """Unplug the cable for a while."""
        self.inside.succeed("ip", "-netns", LAPTOP, "link", "set", "eth0", "down")
        yield
        self.inside.succeed("ip", "-netns", LAPTOP, "link", "set", "eth0", "up")
        default = ("default", "via", GATEWAY, "dev", "eth0", "onlink")
        self.inside.succeed("ip", "-netns", LAPTOP, "route", "add", *default)


@pytest.fixture
def laptop(inside: Inside) -> Generator[Laptop]:
    home = inside.folder / LAPTOP
    (home / ".sky").mkdir(parents=True)
    # It has SkyPilot's price lists, as every client has, and no account of SkyPilot's server.
    (home / ".sky" / "catalogs").symlink_to(inside.bed.place.home / ".sky" / "catalogs")
    manager = SessionManager(home / "bin", SESSIONS)
    inside.python(CABLE, LAPTOP, ADDRESS)
    agent = inside.bed.command([manager.folder / "session-manager-plugin", SESSIONS, f"127.0.0.1:{SKYPILOT_PORT}"])
    watcher = inside.bed.command(["cortex", "watch"])
    variables = inside.bed.variables()
    # The agent and the watcher run, as on a stack's server.
    with running(agent, env=variables), running(watcher, env=variables):
        yield Laptop(inside, home, manager)


@pytest.fixture
def small(inside: Inside) -> tuple[Path, Path]:
    """A profile whose stages take seconds, and a pipeline that does all on one machine of the bed."""
    raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
    for section, values in SMALL.items():
        raw[section] |= values
    raw["grpo"] |= {"max_steps": 120}  # enough to be cut off in their midst, and to lose a machine after
    raw |= {"name": "road", "budget": {"dollars": 4, "max_duration": 4, "failed_dollars": 1}}
    profile = inside.write("road.yaml", yaml.safe_dump(raw))
    stages = ("data", "sft", "grpo", "export", "evaluate", "release")
    return profile, bare_pipeline(inside.folder / "road-pipeline.yaml", stages)


NOT_HERE = {
    "image": "its pipeline names no image",
    "gpu": "its profile has `device: cpu`",
    "role": "CORTEX_RUN_POLICY is not set",
    "fabric": "one small GPU has no NVSwitch",
}
"""Lines that a bed cannot show, with the reason that each begins with."""


@pytest.mark.drawn("bed")
def test_the_road_is_walked_from_a_laptop_that_is_cut_off_meanwhile(
    inside: Inside, laptop: Laptop, small: tuple[Path, Path]
) -> None:
    before = set(inside.python(RUNNING).split())
    profile, pipeline = small
    words = ["python", "-m", "scripts.roadtest", "--profile", profile, "--pipeline", pipeline]
    out, err = laptop.home / "roadtest.json", laptop.home / "roadtest.err"
    with out.open("w") as to_out, err.open("w") as to_err:
        # The bed has no machines in other regions, and its cloud takes a second for each to say so.
        regions = [word for region in ZONES for word in ("--region", region)]
        command = laptop.command(*words, *regions, "--yes", "--json", "--offline", "5")
        with running(command, env=laptop.variables, stdout=to_out, stderr=to_err) as process:
            run = until(lambda: re.search(r"road test (roadtest-\S+);", err.read_text()), "the road test's name")[1]
            until(lambda: "launch: passed" in err.read_text(), "the launch")
            with followed(inside.bed, run) as tail:
                until(lambda: tail.of("progress"), "the first step of sft", every=0.2)
                with laptop.unplugged():
                    until(lambda: tail.of("stage_finished", stage="sft"), "the end of sft", every=0.2)
                assert len(tail.of("stage_started", stage="sft")) == 1, "it was not begun again for that"
            code = process.wait(1200)
    assert code == 0, [line for line in err.read_text().splitlines() if ": FAILED (" in line]
    check_lines({line["name"]: line for line in json.loads(out.read_text())["lines"]})
    assert laptop.manager.asked, "the launch went through a session"
    assert "SOMETHING MAY STAND" not in err.read_text()
    assert set(inside.python(RUNNING).split()) <= before


def check_lines(lines: dict[str, dict[str, Any]]) -> None:
    """Check that each line passed, except those that say why a bed cannot show it."""
    assert {name: line["state"] for name, line in lines.items()} == {
        name: "not proven here" if name in NOT_HERE else "passed" for name in lines
    }
    assert all(lines[name]["detail"].startswith(why) for name, why in NOT_HERE.items())
    assert lines["wall"]["detail"].startswith("the watcher ended it at $")
    assert "was the next one made" in lines["reclaim"]["detail"]
