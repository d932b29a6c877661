"""Time of an audit of real daily prices: 109 coins, 137,455 rows, in a file that is not part of the checkout.

The dataset is built first, with a short window, so that nearly all of its rows become examples. Each round audits it in
a process of its own, as `cortex audit` does: all checks, and six builds with another future.

    python scripts/bench/audit.py --data ~/market/daily_ohlc.parquet
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "market" / "daily_ohlc.parquet"
LIMIT = 30.0
"""Seconds that an audit of this many rows may take."""

PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from cortex.auditing.audit import Audited, AuditDepth, audit_dataset
from cortex.domains.domain import Workspace
from cortex.profiles.profile_file import read_section
from cortex.settings import Settings
section = read_section("markets", json.loads(sys.argv[1]))
began = time.perf_counter()
audit = audit_dataset(Path(sys.argv[2]), Audited(section, 0, Settings()), AuditDepth(), Workspace())
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([seconds, peak, [str(finding) for finding in audit.findings], audit.domains["markets"].rebuilt]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if not asked.data.exists():
        sys.exit(f"skipped: no real market data at {asked.data}; name a file of daily OHLC by --data")
    values = json.dumps({"source": {"kind": "files", "paths": [str(asked.data.absolute())]}, "window_days": 20})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "dataset")
        source = f"source={{kind: files, paths: [{asked.data.absolute()}]}}"
        build = [sys.executable, "-m", "cortex", "dataset", "build", "--out", str(out), "--set", source]
        subprocess.run([*build, "--set", "window_days=20"], check=True)
        print(f"{pl.scan_parquet(asked.data).select(pl.len()).collect().item():,} rows")
        times: list[float] = []
        for _ in range(asked.rounds):
            command = [sys.executable, "-c", PROGRAM, values, str(out)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
            seconds, peak, findings, rebuilt = json.loads(printed)
            times.append(seconds)
            print(f"{seconds:.1f} s, {peak:.2f} GiB; {rebuilt}", *findings, sep="\n  ", flush=True)
    print(f"best {min(times):.1f} s, worst {max(times):.1f} s (target: {LIMIT:.0f})")
    sys.exit(max(times) > LIMIT)


if __name__ == "__main__":
    main()
