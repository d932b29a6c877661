"""A training that continues on another machine: figures and sampled answers are drawn once."""

from pathlib import Path

from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile, with_overrides
from cortex.runs.context import RunContext
from cortex.tracking.keeper import Keeper, tracking_folder
from cortex.tracking.samples import SampleWriter
from cortex.tracking.trackers import Trackers
from tests.checkpoints.conftest import context_of


def train(context: RunContext, resumed: int | None, last: int, name: str) -> bytes:
    """Make the steps after `resumed`, each with its figures in two parts and an answer, as a supervisor gets them;
    return the event file."""
    samples = SampleWriter(tracking_folder(context, "grpo") / "samples", 1)
    context.ledger.append("stage_started", stage="grpo")
    if resumed:
        context.ledger.append("resumed", stage="grpo", checkpoint=f"checkpoint-{resumed}")
    with (
        Keeper(context, "grpo"),
        Trackers(context, "grpo", resumed, context.ledger.append) as trackers,
    ):
        for step in range((resumed or 0) + 1, last + 1):
            samples.write(step, "train", [{"completion": f"step {step} of {name}.", "reward": 0.5}])
            for part in ("reward", "entropy"):
                context.ledger.progress(step=step, total=9, **{part: 0.5})
                trackers.add(step, {part: 0.5})
        samples.write(last, "validation", [{"completion": f"validated by {name}.", "reward": 0.5}])
        context.ledger.append("validated", stage="grpo", step=last, values={"brier": 0.2})
        trackers.add(last, {"brier": 0.2}, "validation")
    [file] = (tracking_folder(context, "grpo") / "tensorboard").iterdir()
    return file.read_bytes()


def test_another_machine_shows_the_answers_before_its_checkpoint_from_the_bucket(
    store: Store, profile: Profile, tmp_path: Path
) -> None:
    drawn = with_overrides(profile, {"tracking": ["tensorboard"]})
    first = train(context_of(store, drawn, tmp_path / "a"), None, 4, "the first")
    assert [first.count(f"step {step} of the first.".encode()) for step in range(1, 5)] == [1, 1, 1, 1]
    assert first.count(b"validated by the first.") == 1 and first.count(b"validation/brier") == 1
    second = train(context_of(store, drawn, tmp_path / "b"), 2, 5, "the second")
    assert [second.count(f"step {step} of the first.".encode()) for step in range(1, 5)] == [1, 1, 0, 0]
    assert [second.count(f"step {step} of the second.".encode()) for step in range(1, 6)] == [0, 0, 1, 1, 1]
    assert second.count(b"validated by the first.") == 0 and second.count(b"validated by the second.") == 1
