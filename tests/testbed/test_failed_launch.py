"""A launch that never reaches the kit's program: who follows it is told in SkyPilot's words, and not kept waiting."""

import json

import yaml

from tests.testbed.conftest import Inside, until
from tests.testbed.tasks import bare_pipeline

RUN = "no-setup"
MACHINES = (("data", "sft"), ("grpo", "export", "evaluate", "release"))


def test_a_setup_that_fails_is_told_and_ends_the_view_and_leaves_no_machine(inside: Inside) -> None:
    before = {machine["id"] for machine in inside.machines()}
    pipeline = bare_pipeline(inside.folder / "no-setup.yaml", *MACHINES)
    tasks = list(yaml.safe_load_all(pipeline.read_text()))
    tasks[0]["setup"] = "echo there is no room; exit 3"
    pipeline.write_text(yaml.safe_dump_all(tasks, sort_keys=False))
    words = ["--profile", "rehearsal", "--run", RUN, "--pipeline", pipeline, "--yes"]
    followed = inside.run("cortex", "launch", *words, CORTEX_PREFLIGHT_SECONDS="300", COLUMNS="300")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    shown = followed.stdout.splitlines()
    assert any(line.startswith("SkyPilot: job/") and ", starting" in line for line in shown), followed.stdout
    assert any(line.startswith("failed  ·  spent $") for line in shown), followed.stdout
    assert any(line.startswith("SkyPilot: job/") and ", failed setup: Failure: " in line for line in shown)

    found = json.loads(inside.succeed("cortex", "status", RUN, "--json"))
    assert (found["state"], found["stage"]) == ("failed", None)
    assert (found["skypilot"]["state"], found["skypilot"]["failed"]) == ("failed_setup", True)
    until(lambda: {machine["id"] for machine in inside.machines()} <= before, "the return of its machine")
    [(machine, billed)] = inside.billed(RUN).items()
    [charge] = inside.charged(RUN)["machines"]
    assert (charge["machine"], charge["reached"]) == (machine, False)
    assert abs(charge["dollars"] - billed) <= 0.02 * billed
    assert "`cortex run` never began on it" in " ".join(inside.succeed("cortex", "cost", RUN).split())
