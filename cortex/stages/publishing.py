"""Publishing a stage's artifact: retried for hours, since the artifact is worth more than the machine that waits."""

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from loguru import logger

from cortex.artifacts.artifact import Artifact, describe, publish
from cortex.artifacts.describe import RELEASE
from cortex.artifacts.folders import seal
from cortex.artifacts.outage import HOLD_OUT, Outage
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import StoreError
from cortex.errors import DataError, PreemptedError, VerificationError
from cortex.runs.context import RunContext, artifact_prefix, local_ledger

TOLD_AFTER, TOLD_EVERY = 10.0, 60.0
"""Seconds of an outage until it is reported in log and ledger, and between further lines in the log."""


def publish_stage(context: RunContext, stage: str, output: Path, inputs: Mapping[str, str]) -> Artifact:
    """Publish a stage's output. Meanwhile a release's sealed folder can be downloaded from its machine over SSH.

    Raises:
        StoreError: the bucket did not take it for `HOLD_OUT` seconds; a release is retried without end.
        RefusedError: another process took the run over, or another artifact is there already.
        PreemptedError: a signal ended the waiting.
    """
    prefix = artifact_prefix(context.run, stage)
    origin = {
        "kind": stage,
        "inputs": inputs,
        "profile": context.profile.digest,
        "seeds": {"profile": context.profile.seed},
    }
    if context.store.local_path(prefix) is not None:
        return publish(output, context.store, prefix, **origin, lease=context.lease)
    release = stage == RELEASE
    if release:
        # Sealing hashes the files once more, but then the release can be downloaded from here during an outage.
        context.ledger.beside = local_ledger(output.parent)
        seal(output, describe(output, **origin).data)

    def should_retry(error: Exception, attempt: int) -> bool:
        # Refused credentials, a missing permission, a store that damages bytes: somebody may repair it meanwhile.
        return isinstance(error, StoreError) or (release and isinstance(error, VerificationError))

    with _stoppable(output) as sleep:
        patience = Patience(
            deadline=math.inf if release else HOLD_OUT, sleep=sleep, listener=_listener(context, stage, output)
        )
        store = context.store.with_patience(patience)
        call = partial(publish, output, store, prefix, **origin, lease=replace(context.lease, store=store))
        return replace(patience, first=1.0, longest=60.0).persist(call, DataError, should_retry, _ignore_retry)


def _listener(context: RunContext, stage: str, output: Path) -> Outage:
    """The listener that reports in log and ledger when the bucket stops taking the artifact, and when it does again."""
    ledger, begun = context.ledger, threading.Event()
    until = "until it is there" if stage == RELEASE else f"for {HOLD_OUT / 3600:.0f} h"
    fetched = f", or take it home from here: cortex download {context.run} --from-cluster <this machine's name for ssh>"

    def on_outage(seconds: float, reason: str) -> None:
        logger.warning(
            f"{context.store.url} has not taken the {stage} of run {context.run} for {_duration(seconds)} ({reason}): "
            f"it is kept in {output} and tried {until}; mend the bucket, the network or the credentials"
            f"{fetched if stage == RELEASE else ''}"
        )
        if not begun.is_set():
            begun.set()
            since = round(ledger.clock() - seconds, 3)
            ledger.hold("bucket_unreachable", stage=stage, since=since, reason=reason)

    def on_recovery(seconds: float) -> None:
        begun.clear()
        logger.warning(f"{context.store.url} answers again after {_duration(seconds)}: going on with the {stage}")
        ledger.hold("bucket_answers", stage=stage, seconds=round(seconds, 3))
        with suppress(StoreError):  # the event is held, and written with the next one
            ledger.flush()

    return Outage(on_outage, on_recovery, after=TOLD_AFTER, every=TOLD_EVERY)


@contextmanager
def _stoppable(output: Path) -> Generator[Callable[[float], None]]:
    """Yield a sleep that a signal ends in every thread, so that no thread that waits for the bucket delays the exit."""
    stop = threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise PreemptedError(f"stopped while the bucket did not answer; what was to be published is in {output}")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        handler = before[signal.Signals(number)]
        assert callable(handler)
        handler(number, frame)

    # A signal with the default handler, which simply ends the process, needs no handling.
    caught = [number for number, handler in before.items() if callable(handler)]
    if threading.current_thread() is not threading.main_thread():
        caught = []
    for number in caught:
        signal.signal(number, handle)
    try:
        yield sleep
    finally:
        for number in caught:
            if signal.getsignal(number) == handle:
                signal.signal(number, before[number])


def _ignore_retry(error: Exception, wait: float) -> None:
    """Ignore a retry, since the listener reports it."""


def _duration(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"
