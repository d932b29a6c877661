"""The first steps: preflight, the launch of the main run, and a second run that is ended for its cost."""

import json

from cortex.errors import ConfigError, CortexError, StageError
from scripts.roadtest.road import Road
from scripts.roadtest.step import Found, Step


def ready(road: Road) -> Found:
    """The result of preflight; checks that were skipped because a service did not answer are named."""
    words = ("preflight", road.profile_path, "--pipeline", road.pipeline, "--json")
    said = road.verbs.ask(*words, seconds=road.left)
    try:
        findings = json.loads(said.out)
    except ValueError as error:
        raise StageError(f"`cortex preflight`: {said.last_line}") from error
    faults = [f"{finding['check']}: {finding['fix']}" for finding in findings if finding["ok"] is False]
    if faults or said.code:
        raise ConfigError("; ".join(faults) or said.last_line)
    skipped = [finding["check"] for finding in findings if finding["ok"] is None]
    warned = [finding["check"] for finding in findings if finding["ok"] and finding["fix"]]
    detail = f"{len(findings) - len(skipped)} of {len(findings)} checks passed"
    detail += f"; warnings: {', '.join(warned)}" if warned else ""
    return Found(detail + (f"; not looked at: {', '.join(skipped)}" if skipped else ""))


def launch(road: Road) -> Found:
    road.launch(road.run, "--profile", road.profile_path, "--pipeline", road.pipeline)
    job = road.look(road.run).launch
    return Found(f"job/{job['job']}" if job and "job" in job else "submitted")


def wall(road: Road) -> Found:
    """A run with a cap of a hundredth of a cent is ended while its machine starts, by the watcher beside SkyPilot's
    server; or, if the machine is faster, by the machine."""
    # --force, since preflight fails for a cap below the estimated cost; its other checks passed for the main run.
    try:
        road.launch(road.wall, "--profile", road.wall_profile_path, "--pipeline", road.wall_pipeline, "--force")
    except CortexError:
        # The watcher may be faster than the launch: it then holds the run's lease, and the launch's entry is refused.
        if road.wall not in road.entered() or not road.look(road.wall).given_up:
            raise

    def ended() -> str | None:
        status = road.look(road.wall)
        if status.state == "done" or any(stage.state == "done" for stage in status.stages):
            raise StageError(f"run {road.wall} did its work at ${status.spent:.4f}, and its cap is ${status.budget:g}")
        if status.given_up:
            return f"the watcher ended it at ${status.spent:.4f} of ${status.budget:g}"
        return (
            f"its machine ended it at ${status.spent:.4f} of ${status.budget:g}"
            if status.state == "over budget"
            else None
        )

    return Found(road.wait_for(ended, f"the end of run {road.wall}, which costs more than it may,"))


BEGIN = (
    Step(
        "ready",
        "What a launch needs is there, says `cortex preflight`: programs, account, quota, bucket, images, keys.",
        ready,
        seconds=120,
    ),
    Step(
        "launch",
        "SkyPilot's server takes the run as a managed job.",
        launch,
        seconds=600,
        needs=("ready",),
        capped=True,
        undone="`cortex teardown`, at the end however it comes",
    ),
    Step(
        "wall",
        "A launch that costs more than it may is ended without us, before any program of ours has begun.",
        wall,
        seconds=1800,
        needs=("ready",),
        dollars=0.1,
        undone="as above",
    ),
)
