"""Draw five steps, then, continued, eight, in a tracker whose package is in the image; keep what it then has."""

import json
import sys
from pathlib import Path

from cortex.runs.profile import load_profile
from cortex.training.tracking.curve import Point
from cortex.training.tracking.packaged import Trackio, Wandb
from cortex.training.tracking.sample_tables import Rows
from cortex.training.tracking.tracker import Tracker, Training

STEPS = 8


def rows(point: Point) -> Rows:
    if point.step % 3:
        return []
    return [{"step": point.step, "prompt": "p|q", "completion": f"a\n{n}", "reward": n / 2} for n in range(2)]


def draw(tracker: Tracker, last: int) -> None:
    had = tracker.open()
    points = [Point(step, 1.7e9 + step, {"loss": 1 / step}, f"train-{step:08d}.jsonl") for step in range(1, last + 1)]
    tracker.draw([point for point in points if point.step > had])
    tracker.close()


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    training = Training("run-1", "grpo", load_profile("rehearsal"), folder / "kept", folder / "scratch", rows)
    if kind == "wandb":  # offline, a run of it cannot be continued
        draw(Wandb(training), STEPS)
        return
    for last in (5, STEPS):
        draw(Trackio(training), last)
    (folder / "logged.json").write_text(json.dumps(Trackio(training)._logged()), encoding="utf-8")


main()
