"""`cortex benchmark`: a model or two, asked published benchmarks and a domain's own test questions."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, read_path

if TYPE_CHECKING:
    from cortex.benchmarks.answers_file import Benchmarked
    from cortex.benchmarks.before_after import BenchmarkRecord
    from cortex.benchmarks.domain_tasks import DomainTask
    from cortex.benchmarks.suites import Suite
    from cortex.profiles.profile import Profile
    from cortex.settings import Settings

app = typer.Typer()

ANSWERS = ".jsonl"
"""Ending of a file of answers, in place of a model."""


@app.command()
def benchmark(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's folder, URL, MODEL@URL, or a file of kept answers.")
    ],
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model before: named in the same ways, asked the same.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="finance, bbh, gsm8k, or a name of lm-eval's. May be repeated."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Also the test questions of a run's own dataset.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="PROFILE", help="Or those of a profile, whose dataset is built for it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most questions of each task.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="Requests at a time to a server.")] = 8,
    to: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="DIR", help="A new folder, for the answers and the record."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on benchmarks, and with --against say what it does better or worse than before.

    A server's key goes into CORTEX_BENCH_API_KEY, that of --against into CORTEX_AGAINST_API_KEY.
    """
    from cortex.benchmarks.before_after import record_benchmark
    from cortex.benchmarks.suites import read_suite
    from cortex.settings import Settings

    named = [model] if against is None else [model, against]
    if run and profile:
        raise UsageError("--run and --profile both name test questions: give one")
    if not (task or run or profile or all(name.endswith(ANSWERS) for name in named)):
        raise UsageError("nothing is asked: name --task finance, bbh or gsm8k, a --run or a --profile")
    if to and to.exists():
        raise UsageError(f"--to {to} is there: name a new folder")
    settings = Settings()
    suites = [read_suite(name) for name in dict.fromkeys(task or ())]
    with tempfile.TemporaryDirectory(prefix="cortex-benchmark-") as scratch:
        tasks = _domain_tasks(run, profile, limit, settings, Path(scratch))
        found = _answers(named, suites, tasks, settings, Path(scratch), limit, concurrency)
    record = record_benchmark(found[0], found[1] if against else None)
    if to:
        _keep(found, record, to)
    if as_json:
        print(json_text(record.model_dump(mode="json") | {"sentences": record.sentences()}))
    else:
        from cortex.benchmarks.benchmark_table import print_benchmark
        from cortex.console import Console

        console = Console()
        # Output to a program or a file is not cut to a terminal's 80 columns.
        print_benchmark(record, console if console.is_terminal else Console(width=max(console.width, 160)))


def _keep(found: "Sequence[Benchmarked]", record: "BenchmarkRecord", to: Path) -> None:
    """Write the answers and the record into a new folder."""
    from cortex.benchmarks.answers_file import write_answers

    to.mkdir(parents=True)
    for name, one in zip(("answers", "against"), found, strict=False):
        write_answers(one, to / f"{name}{ANSWERS}")
    (to / "benchmark.json").write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _answers(
    named: list[str],
    suites: "list[Suite]",
    tasks: "list[DomainTask]",
    settings: "Settings",
    scratch: Path,
    limit: int | None,
    concurrency: int,
) -> "list[Benchmarked]":
    """The answers of each that is named. All are looked up before the first is asked, which may take hours."""
    from cortex.benchmarks.answers_file import Benchmarked, read_answers
    from cortex.benchmarks.benchmarking import benchmark as ask_all
    from cortex.benchmarks.contender import read_contender

    keys = ("bench_api_key", "against_api_key")
    looked_up = [
        read_answers(read_path(name)) if name.endswith(ANSWERS) else read_contender(name, settings, key, concurrency)
        for name, key in zip(named, keys, strict=False)
    ]
    found: list[Benchmarked] = []
    for place, one in enumerate(looked_up):
        if isinstance(one, Benchmarked):
            found.append(one)
            continue
        print(f"{one.label} is asked", file=sys.stderr, flush=True)
        folder = scratch / f"lm-eval-{place}"
        found.append(ask_all(one, suites, tasks, settings, folder, limit=limit, include=scratch / "tasks"))
    return found


def _domain_tasks(
    run: str | None, profile: str | None, limit: int | None, settings: "Settings", scratch: Path
) -> "list[DomainTask]":
    """The test questions of a run or a profile, written as tasks below `scratch`; none where neither is named."""
    if run is None and profile is None:
        return []
    from cortex.benchmarks.domain_tasks import write_domain_tasks

    found, dataset = _run_data(run, settings) if run else _profile_data(profile or "", settings, scratch)
    count = min(limit or found.evaluate.examples, found.evaluate.examples)
    return write_domain_tasks(
        found.domain, dataset, scratch / "tasks", count=count, max_tokens=found.evaluate.max_new_tokens
    )


def _run_data(run: str, settings: "Settings") -> "tuple[Profile, Path]":
    from cortex.artifacts.artifact import fetch
    from cortex.artifacts.open_store import open_store
    from cortex.artifacts.store import MissingObjectError
    from cortex.runs.context import artifact_prefix, check_run_id, load_run

    store = open_store(settings.bucket_url)
    try:
        profile = load_run(store, check_run_id(run))
        return profile, fetch(store, artifact_prefix(run, "data"), settings.home / "benchmarks" / ".data").path
    except MissingObjectError as error:
        raise UsageError(f"run {run} has no dataset in {store.url}: wait until its `data` has ended") from error


def _profile_data(name: str, settings: "Settings", scratch: Path) -> "tuple[Profile, Path]":
    from cortex.domains.dataset import write_dataset
    from cortex.profiles.profile_file import load_profile

    profile = load_profile(name)
    folder = scratch / "data"
    folder.mkdir()
    write_dataset(profile.domain, profile.seed, settings, folder)
    return profile, folder
