"""Duration of the verbs that users type often, as medians of several runs: `python scripts/bench/start.py`.

`runs` reads a bucket of 100 runs in a folder, each with a ledger. Two days of ledger, with 1,440 signs of life a day
and a progress object every 20 seconds, would be 11,520 objects a run; `--objects` is the number that is created.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--objects", type=int, default=50, help="signs of life, and objects of progress, of each run")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(open_store(f"{folder}/bucket"), chosen.runs, chosen.objects)
        print("| verb | wall s | CPU s |\n| --- | --- | --- |")
        for words in (["--help"], ["status", "run-0"], ["cost", "run-0"], ["runs"]):
            wall, cpu = zip(*(timed(words, folder) for _ in range(chosen.rounds)), strict=True)
            print(f"| cortex {' '.join(words)} | {statistics.median(wall):.2f} | {statistics.median(cpu):.2f} |")


def fill(store: Store, runs: int, objects: int) -> None:
    """Fill a bucket with runs under way."""
    profile = load_profile("rehearsal")
    for number in range(runs):
        run, now = f"run-{number}", time.time()
        create_run(store, run, profile)
        ledger, meter = Ledger(store, run, 1), Ledger(store, run, 1, name="meter")
        ledger.append("stage_started", stage="sft")
        meter.append("machine_started", machine="i-1", since=now, dollars_per_hour=30.0)
        for step in range(objects):
            ledger.hold("progress", step=step, total=objects, loss=1 / (step + 1))
            ledger.flush()
            meter.append("machine_alive", machine="i-1", since=now, until=now + step)


def timed(words: list[str], home: str) -> tuple[float, float]:
    """Wall-clock and processor seconds of one call."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "CORTEX_HOME": home}
    command = [sys.executable, "-m", "cortex", *words]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
