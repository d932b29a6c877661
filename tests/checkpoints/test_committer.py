import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import StoreError
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.committer import Committer, NewCheckpoint
from cortex.errors import ConfigError, CortexError, RefusedError, StageError
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext
from tests.checkpoints.conftest import RUN, context_of
from tests.checkpoints.toy import chain, save


class SlowCheckpoints(Checkpoints):
    """Checkpoints as over a bucket whose connection stalls while the gate is closed."""

    def __init__(self, context: RunContext, bucket: FolderStore) -> None:
        super().__init__(context, "sft", keep=2)
        self.gate = threading.Event()
        self.sending: int | None = None
        self.sent: list[int] = []
        self.failing: Exception | None = None
        self._bucket = bucket

    @property
    def remote(self) -> bool:
        return True

    def upload(self, step: int) -> None:
        self.sending = step
        assert self.gate.wait(30)
        assert step in self.on_disk()
        if self.failing:
            raise self.failing
        self.sent.append(step)

    def on_disk(self) -> set[int]:
        return self._steps(self._local)


@pytest.fixture
def context(profile: Profile, tmp_path: Path) -> RunContext:
    return context_of(FolderStore(tmp_path / "local"), profile, tmp_path / "work")


@pytest.fixture
def slow(context: RunContext, tmp_path: Path) -> SlowCheckpoints:
    return SlowCheckpoints(context, FolderStore(tmp_path / "bucket"))


def saved(checkpoints: Checkpoints, step: int) -> NewCheckpoint:
    return NewCheckpoint(save(checkpoints.saving / f"checkpoint-{step}", chain(step), step), step, None)


def wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def ignore(*words: Any, **values: Any) -> None:
    del words, values


def test_committing_does_not_wait_for_sending_and_sending_skips_what_was_overtaken(slow: SlowCheckpoints) -> None:
    with Committer(slow, 1, ignore) as committer:
        for step in (10, 20, 30, 40):
            committer.take(saved(slow, step))
        assert committer.settle(20, sent=False)
        assert not committer.settle(0.1)
        assert not list(slow.saving.iterdir())  # the trainer's queue is empty while the line is closed
        slow.gate.set()
        assert committer.settle(20)
    assert slow.sent in ([10, 40], [40], [20, 40], [30, 40])


def test_the_best_is_sent_before_whatever_has_overtaken_it(slow: SlowCheckpoints) -> None:
    """Otherwise a machine could continue from a newer checkpoint, and have lost the one to be released."""
    with Committer(slow, 1, ignore) as committer:
        committer.take(saved(slow, 10))
        assert wait_until(lambda: slow.sending == 10)
        for step, score in ((20, -3.0), (30, -1.0), (40, -2.0), (50, None), (60, -1.0)):
            committer.take(replace(saved(slow, step), score=score))
        assert committer.settle(20, sent=False)
        assert {30, 50, 60} <= slow.on_disk()
        slow.gate.set()
        assert committer.settle(20)
    assert slow.sent == [10, 30, 60], "a better one takes the place of the best that waits; an equal one does not"


def test_while_the_bucket_does_not_answer_the_disk_is_pruned_all_the_same(slow: SlowCheckpoints) -> None:
    with Committer(slow, 1, ignore) as committer:
        committer.take(saved(slow, 10))
        assert wait_until(lambda: slow.sending == 10)
        for step in (20, 30, 40, 50, 60):
            committer.take(saved(slow, step))
        assert committer.settle(20, sent=False)
        # 40 was next to be sent when 60 came; 10 is being sent.
        assert slow.on_disk() in ({10, 50, 60}, {10, 40, 50, 60})
        slow.gate.set()
        assert committer.settle(20)
    assert slow.sent == [10, 60]


def test_a_bucket_that_fails_is_told_and_the_next_is_sent_all_the_same(slow: SlowCheckpoints) -> None:
    told: list[tuple[str, int]] = []
    slow.failing = StoreError("the bucket does not answer")
    slow.gate.set()
    with Committer(slow, 1, lambda event, **values: told.append((event, values["step"]))) as committer:
        committer.take(saved(slow, 10))
        assert committer.settle(20)
        slow.failing = None
        committer.take(saved(slow, 20))
        assert committer.settle(20)
    assert told == [
        ("checkpoint_committed", 10),
        ("checkpoint_failed", 10),
        ("checkpoint_committed", 20),
        ("checkpoint_sent", 20),
    ]


def test_what_cannot_be_committed_leaves_the_queue_and_is_told(context: RunContext) -> None:
    checkpoints = Checkpoints(context, "sft", keep=2)
    told: list[str] = []
    with Committer(checkpoints, 1, lambda event, **values: told.append(f"{event} {values.get('reason')}")) as committer:
        torn = saved(checkpoints, 10)
        (torn.folder / "optimizer.pt").unlink()
        committer.take(torn)
        assert committer.settle(20)
        committer.require()
    assert len(told) == 1 and "lacks optimizer state" in told[0]
    assert not torn.folder.exists()


def test_the_loss_of_the_lease_reaches_the_supervisor(context: RunContext) -> None:
    checkpoints = Checkpoints(context, "sft", keep=2)
    with Committer(checkpoints, 1, ignore) as committer:
        Lease.take(context.store, RUN)
        committer.take(saved(checkpoints, 10))
        assert committer.settle(20)
        with pytest.raises(RefusedError, match="was taken over"):
            committer.require()


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (ConfigError("store 's3://b' cannot be opened: its profile expired"), ConfigError, "profile expired"),
        (KeyError("size"), StageError, "checkpoints are no longer kept (KeyError: 'size')"),
        (RecursionError(), StageError, "checkpoints are no longer kept (RecursionError"),
    ],
)
@pytest.mark.parametrize("where", ["sent", "committed"])
def test_what_nobody_foresaw_is_told_and_ends_the_training_and_no_wait_is_in_vain(
    where: str,
    error: Exception,
    raised: type[CortexError],
    said: str,
    slow: SlowCheckpoints,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, str]] = []

    def fail(*_: object) -> None:
        raise error

    slow.gate.set()
    if where == "committed":
        monkeypatch.setattr(slow, "commit", fail)
    else:
        slow.failing = error
    with Committer(slow, 1, lambda event, **values: told.append((event, values.get("reason", "")))) as committer:
        committer.take(saved(slow, 10))
        began = time.monotonic()
        assert not committer.settle(60)
        assert time.monotonic() - began < 30
        with pytest.raises(raised) as found:
            committer.require()
        assert said in str(found.value)
    event, reason = told[-1]
    assert event == "checkpoint_failed" and f"not {where}: {type(error).__name__}" in reason
    assert slow.on_disk() == (set() if where == "committed" else {10}), "what was committed is kept"


def test_leaving_ends_its_threads(slow: SlowCheckpoints) -> None:
    before = threading.active_count()
    with Committer(slow, 1, ignore) as committer:
        committer.take(saved(slow, 10))
        slow.gate.set()
        assert committer.settle(20)
    wait_until(lambda: threading.active_count() == before)
    assert threading.active_count() == before
