"""Memory, time and resumption of large pulls: Flipside's SDK against the local warehouse, killed again and again.

A warehouse of simulated hourly prices runs in one program, and a pull of all its rows in another, both in the data
image's environment. First a pull runs undisturbed; then a second one is killed by SIGKILL at random moments and
continued each time. Its files must be those of the first, byte by byte. Memory is the pull's highest resident set,
compared with that of a pull of a tenth of the rows. Only a temporary folder is written, and removed.

    python scripts/bench/pulls.py                              # a million rows, 20 kills
    python scripts/bench/pulls.py --rows 60000 --kills 3 --json
"""

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ASSETS = 33


def main() -> None:
    words = argparse.ArgumentParser(description="Measure large pulls, and kill them.")
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--kills", type=int, default=20)
    words.add_argument("--seed", type=int, default=0, help="seed of the moments of the kills")
    words.add_argument("--json", action="store_true")
    words.add_argument("--serve", type=int, metavar="DAYS", help=argparse.SUPPRESS)
    words.add_argument("--pull", nargs=3, metavar=("URL", "FOLDER", "DAYS"), help=argparse.SUPPRESS)
    options = words.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.pull:
        url, folder, days = options.pull
        pull(url, Path(folder), int(days))
    else:
        with tempfile.TemporaryDirectory() as work:
            measured = measure(Path(work), options.rows, options.kills, random.Random(options.seed))
        show(measured, options.json)
        sys.exit(0 if measured["equal"] else 1)


def measure(work: Path, rows: int, kills: int, rng: random.Random) -> dict[str, Any]:
    """Pull undisturbed, then with kills, from one warehouse of about so many rows."""
    days = -(-rows // (23 * ASSETS))  # the hour that the service made up is no row of the pull
    with serving(days) as url:
        few = finish(url, work / "few", -(-days // 10))
        whole = finish(url, work / "whole", days)
        parts = len(hashes(work / "whole"))
        interrupted = work / "killed"
        moments = sorted(rng.uniform(0, parts - 1) for _ in range(kills))
        killed = sum(kill(url, interrupted, days, moment) for moment in moments)
        finish(url, interrupted, days)
    return {
        "rows": whole["rows"],
        "seconds": whole["seconds"],
        "rows_a_second": whole["rows"] / whole["seconds"],
        "mib": whole["mib"],
        "mib_of_a_tenth": few["mib"],
        "kills": killed,
        "equal": hashes(work / "whole") == hashes(interrupted),
        "parts": parts,
    }


@contextmanager
def serving(days: int) -> Iterator[str]:
    """The warehouse's address; it runs in a program of its own."""
    server = subprocess.Popen(command("--serve", days), env=variables(), stdout=subprocess.PIPE, encoding="utf-8")
    assert server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def finish(url: str, folder: Path, days: int) -> dict[str, Any]:
    done = subprocess.run(
        command("--pull", url, folder, days), env=variables(), capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def kill(url: str, folder: Path, days: int, moment: float) -> int:
    """Kill a pull at some moment in its parts, such as 2.5; 0 where it was over by then."""
    process = subprocess.Popen(command("--pull", url, folder, days), env=variables(), stdout=subprocess.DEVNULL)
    while len(list(folder.glob("*/part-*.parquet"))) < int(moment) and process.poll() is None:
        time.sleep(0.005)
    time.sleep(moment % 1 / 5)  # a part takes about a fifth of a second
    killed = process.poll() is None
    process.kill()
    process.wait()
    return int(killed)


def hashes(folder: Path) -> dict[str, str]:
    """The hash of each part."""
    parts = sorted(folder.glob("*/part-*.parquet"))
    return {part.name: hashlib.sha256(part.read_bytes()).hexdigest() for part in parts}


def command(*words: object) -> list[str]:
    from cortex.local.environments import environment
    from cortex.settings import Settings

    python = environment("data", Settings()) / "bin" / "python"
    return [str(python), __file__, *map(str, words)]


def variables() -> dict[str, str]:

    return {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "1"}


def serve(days: int) -> None:
    """Serve simulated hourly prices until the program is ended."""
    from cortex.domains.markets.config import SimulatorConfig
    from cortex.domains.markets.simulator import Simulator
    from cortex.domains.markets.warehouse.local import local_warehouse

    source = Simulator(SimulatorConfig(chains=ASSETS, days=days), 1, 1, 90, seed=0)
    with local_warehouse(source, simulated=True) as server:
        print(server.url, flush=True)
        time.sleep(3600)


def pull(url: str, folder: Path, days: int) -> None:
    """Pull all hourly prices of the first days."""
    import datetime as dt

    import polars as pl

    from cortex.domains.markets.live.assets import NATIVES, TOKENS
    from cortex.domains.markets.live.flipside_client import FlipsideClient
    from cortex.domains.markets.live.pull import Puller
    from cortex.domains.markets.live.request_pace import Pace
    from cortex.domains.markets.live.statement import read_statement

    columns = {"asset": pl.String(), "hour": pl.String(), "price": pl.Float64()}
    start = dt.date(2020, 1, 1)
    statement = read_statement(
        "crosschain_prices_hourly",
        columns,
        start=start,
        end=start + dt.timedelta(days=days),
        natives=tuple(asset.key for asset in NATIVES),
        tokens=tuple(asset.key for asset in TOKENS),
    )
    client = FlipsideClient("local", url, poll_seconds=0.05)
    began = time.monotonic()
    pulled = Puller(client, "bench", folder, at_once=2, pace=Pace(60_000)).pull(statement)
    measured = {
        "rows": pulled.rows,
        "seconds": time.monotonic() - began,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(measured))


def show(measured: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(measured))
        return
    print(
        f"{measured['rows']:,} rows in {measured['seconds']:.1f} s ({measured['rows_a_second']:,.0f} a second), "
        f"{measured['mib']:.0f} MiB at most; a tenth of the rows: {measured['mib_of_a_tenth']:.0f} MiB"
    )
    same = "are the undisturbed pull's" if measured["equal"] else "DIFFER from the undisturbed pull's"
    print(f"killed {measured['kills']} times and continued: its {measured['parts']} parts {same}")


if __name__ == "__main__":
    main()
