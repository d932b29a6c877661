"""The insurance test of one trainer of a profile: both sides run every case for real on this machine."""

import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.progress import Progress

from cortex.console import Console
from cortex.drill.bench import Bench, bench
from cortex.drill.cases import Case, cases
from cortex.drill.drill_report import Report, Row
from cortex.drill.moments import Place
from cortex.drill.side_verdict import Finding, judge
from cortex.drill.sides import Side
from cortex.drill.stand_in import Trainer
from cortex.errors import UsageError
from cortex.local.environments import environment
from cortex.profiles.profile import Profile
from cortex.section import nearest
from cortex.settings import Settings

AT_ONCE = 2
"""Cases tried in parallel; cold starts run alone, since their seconds are reported."""


def drill(
    profile: Profile,
    stage: Trainer,
    settings: Settings,
    console: Console,
    *,
    faults: Sequence[str] = (),
    quick: bool = False,
) -> Report:
    """Try every case, or those whose names hold one of `faults`, or the handful of a quick drill.

    Its folder is removed, unless a claim failed: then the logs in it show what happened.

    Raises:
        UsageError: no fault has such a name.
        ConfigError, StageError: the profile's trainer cannot be drilled here.
        SystemExit: SIGTERM came, where the caller takes it by `terminable`.
    """
    started = time.monotonic()
    with console.status("making the trainer's environment"):
        python = environment(stage, settings) / "bin" / "python"
    home = settings.home.absolute() / "drill"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{stage}-", dir=home))
    stopping = threading.Event()
    failed = True
    try:
        with console.status("training undisturbed, for comparison") as status:
            with bench(profile, stage, python, folder, stopping) as ready:
                chosen = choose(cases(ready), faults, quick=quick)
                status.stop()
                rows = _try_all(ready, chosen, console, stopping)
            report = Report(profile.name, stage, ready.standin.differs, rows, time.monotonic() - started)
        failed = not report.held
        return report
    except (KeyboardInterrupt, SystemExit):  # SystemExit is SIGTERM within `terminable`
        failed = False
        raise
    finally:
        stopping.set()
        if failed:
            console.print(f"the logs are kept in {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def choose(known: Sequence[Case], faults: Sequence[str], *, quick: bool) -> list[Case]:
    """The cases that are asked for, in their order.

    Raises:
        UsageError: a word is in no case's name.
    """
    for word in faults:
        if not any(word in case.name for case in known):
            raise UsageError(f"no fault {word!r}: {nearest(word, [case.name for case in known])}")
    if faults:
        return [case for case in known if any(word in case.name for word in faults)]
    return [case for case in known if case.quick or not quick]


def _try_all(ready: Bench, chosen: Sequence[Case], console: Console, stopping: threading.Event) -> tuple[Row, ...]:
    rows: dict[str, Row] = {}
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="case")
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(f"{ready.stage} faults", total=len(chosen))

            def done(row: Row) -> None:
                rows[row.fault] = row
                progress.advance(task)
                if not console.is_terminal:
                    console.print(f"{len(rows)}/{len(chosen)}  {row.fault}")

            together = [pool.submit(_try, ready, case) for case in chosen if not case.cold]
            for future in as_completed(together):
                done(future.result())
            for case in chosen:
                if case.cold:
                    # in a thread, too: a program ends with the thread that started it (see `warm.py`)
                    done(pool.submit(_try, ready, case).result())
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)
    return tuple(rows[case.name] for case in chosen)


def _try(ready: Bench, case: Case) -> Row:
    if case.left_out:
        return Row(case.name, case.good, left_out=case.left_out)
    bare = _one_side(ready, case, ready.bare) if case.bare else None
    return Row(case.name, case.good, bare, _one_side(ready, case, ready.kit), case.cold)


def _one_side(ready: Bench, case: Case, side: Side) -> Finding:
    machine = ready.machine(case.name, side)
    outcome = case.trial(Place(ready, side, machine, ready.cold if case.cold else ready.warm))
    finding = judge(outcome, ready.references[side.name], case.reached)
    if side is ready.bare or (finding.kind == "same" and finding.resumed is not None and finding.resumed >= case.good):
        ready.discard(machine)
    return finding
