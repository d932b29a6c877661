"""Running the stages of a run: a stage is skipped if its artifact is complete, and published if it succeeds."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from cortex.artifacts.artifact import find
from cortex.artifacts.describe import RELEASE
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.checkpoints.items import discard_items
from cortex.checkpoints.trainer_command import OFFLINE
from cortex.errors import CortexError, DataError, PreemptedError, RefusedError
from cortex.process import terminable, thread_variables
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext, artifact_prefix, inputs_folder, output_folder
from cortex.runs.departure import stay_until_taken
from cortex.runs.gang_leader import Leader
from cortex.runs.gpus import require_gpus
from cortex.runs.ledger import Ledger
from cortex.runs.meter import Meter
from cortex.runs.nodes import Node, require_nodes
from cortex.runs.run_secret import RunSecret
from cortex.runs.stage_list import LOADING, STREAMING, Stage, find_stage
from cortex.runs.stage_log import keep_log
from cortex.settings import Settings
from cortex.stages.following import follow_stages
from cortex.stages.loaded_models import loaded_models
from cortex.stages.publishing import publish_stage
from cortex.stages.review_input import LABEL, require_same_review, review_input
from cortex.stages.stage_function import stage_function
from cortex.stages.teacher_prompts import prompt_input

LAST_WORD = Patience(deadline=20.0)
"""Retries of the ledger's entry about a failed stage: short, since the machine may be about to go."""


def run_stages(
    names: Sequence[str], run: str, profile: Profile, store: Store, settings: Settings
) -> Iterator[tuple[str, bool]]:
    """Run stages one after another, metered. Yields each one's name, and True if its artifact was made now.

    If SkyPilot gave several machines to the task, the first one leads, and the others do their share.

    Raises:
        BudgetError: the run has reached its cap; the current stage's checkpoints and items are kept.
        MovedError: this machine is given up for a try at spot, which the run's deadline allows.
        CortexError: as `run_stage`.
    """
    node = Node.from_environment(os.environ)
    require_nodes(node, names, profile)
    if not node.leads:
        yield from follow_stages(names, run, profile, store, settings, node)
        return
    with (
        Leader(node, RunSecret.of(run, settings)) if node.count > 1 else nullcontext() as gang,
        Meter(
            store,
            run,
            profile.budget.dollars,
            " ".join(names),
            nodes=node.count,
            max_duration=profile.budget.max_duration,
        ) as meter,
    ):
        for name in names:
            try:
                made = run_stage(name, run, profile, store, settings, meter, tuple(names), gang)
            except PreemptedError as left:
                stay_until_taken(left)  # within the meter's block, since the machine costs until it goes
                raise
            yield name, made


def run_stage(
    name: str,
    run: str,
    profile: Profile,
    store: Store,
    settings: Settings,
    meter: Meter | None = None,
    stages: tuple[str, ...] = (),
    gang: Leader | None = None,
) -> bool:
    """Run a stage unless it is done. True if its artifact was made now.

    `stages` are all stages of this machine, this one included.

    Raises:
        CortexError: the stage failed; nothing was published then.
        RefusedError: another process of this machine runs the same stage of this run.
    """
    stage = find_stage(name)
    if not stage.wanted(profile):
        return False
    work = settings.work(run)
    with _locked(work, stage):
        # Checked before the lease is taken: if nothing is to be done, the run's holder must not lose its lease.
        if done := find(store, artifact_prefix(run, name)):
            if name == LABEL:
                require_same_review(run, profile, done)
            return False
        secret = RunSecret.of(run, settings)
        lease = Lease.take(store, run)
        ledger = Ledger(store, run, lease.epoch)
        context = RunContext(run, profile, store, work, lease, ledger, secret, meter, gang, stages)
        if context.finished(name):  # the previous holder may have published it in between
            if meter:
                meter.use_epoch(lease.epoch)
            return False
        if meter:
            meter.require()
        started = time.monotonic()
        context.ledger.append("stage_started", stage=name)
        if gang:
            gang.begin(name)
        try:
            # Without a meter, the output is left to the caller.
            with keep_log(store, run, lease.epoch, name, work) if meter else nullcontext():
                if meter:
                    meter.use_epoch(lease.epoch)  # in here, since the meter may log something at once
                digest = _run_and_publish(context, stage)
        except BaseException as error:
            code = error.exit_code if isinstance(error, CortexError) else 1
            seconds = round(time.monotonic() - started, 3)
            context.ledger.store = store.with_patience(LAST_WORD)
            with suppress(StoreError):  # a full disk takes no entry either; the first failure is the one to raise
                context.ledger.append("stage_failed", stage=name, seconds=seconds, code=code, reason=_line(error))
            raise
        seconds = round(time.monotonic() - started, 3)
        context.ledger.append("stage_finished", stage=name, seconds=seconds, manifest=digest)
    return True


def _run_and_publish(context: RunContext, stage: Stage) -> str:
    inputs = stage.inputs(context.profile)
    missing = [name for name in inputs if not context.finished(name)]
    if missing:
        raise DataError(f"{stage.name} reads what {', '.join(missing)} makes, which is not there: run that stage first")
    made = {name: context.artifact(name) for name in inputs}
    if LABEL in made:
        require_same_review(context.run, context.profile, made[LABEL].manifest)
    folder = context.folder(stage.name)
    output = output_folder(context.work, stage.name)
    (output / MANIFEST).unlink(missing_ok=True)  # first, so that a half removed folder does not look complete
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    try:
        os.environ.update(thread_variables(context.profile.hardware.threads))
        with terminable():
            require_gpus(stage.name, context.profile.hardware)
            digests = {name: artifact.digest for name, artifact in made.items()}
            digests |= loaded_models(context, stage.name, made)
            digests |= review_input(stage.name, context.profile) | prompt_input(stage.name, context.profile)
            # The stage's modules are imported here, and the hub's client reads HF_HUB_OFFLINE once, when imported.
            with _offline() if stage.name in LOADING - STREAMING else nullcontext():
                stage_function(stage.name)(context, output)
            if context.meter:
                context.meter.begin_publishing()
            artifact = publish_stage(context, stage.name, output, digests)
    except PreemptedError as left:
        if context.meter and (over := context.meter.over):
            raise over from left  # at the cap, the meter ends a stage by the same signal as a preemption
        raise
    except CortexError:
        raise  # RefusedError is a PermissionError too, but no fault of the disk
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: {error.strerror or error}; what was finished is kept: free space or mend the "
            "disk, then run the same command again"
        ) from error
    discard_items(context, stage.name)
    if artifact.path == output and _is_read_here(context, stage):
        # The next stage finds and verifies it there, and need not download it from the bucket.
        place = inputs_folder(context.work) / artifact.digest
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            output.rename(place)
    if stage.name != RELEASE or artifact.path != output:
        shutil.rmtree(folder)  # a bucket's release stays, to be downloaded over SSH while this machine lives
    return artifact.digest


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the libraries that a stage imports from asking the hub: everything that it loads is on this machine."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(OFFLINE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _is_read_here(context: RunContext, stage: Stage) -> bool:
    """True if a later stage that runs on this machine reads this one's artifact."""
    later = context.stages[context.stages.index(stage.name) + 1 :] if stage.name in context.stages else ()
    return any(stage.name in find_stage(name).inputs(context.profile) for name in later)


@contextmanager
def _locked(work: Path, stage: Stage) -> Iterator[None]:
    """Hold the stage's lock; the kernel releases it when this process ends."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"{stage.name}.lock"
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = path.read_text(encoding="utf-8").strip()
            raise RefusedError(
                f"{stage.name} of run {work.name} is being run by another process ({other}): "
                "wait for it, or stop it first"
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
