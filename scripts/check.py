"""Everything that this machine can check: `make test`.

The tiers, in order: `lint` (format, lint, types), `unit`, `infra` (the cloud's ground in an emulated cloud), `testbed`
(the real SkyPilot in a cloud of sandboxes, minutes, as root), `containers` (the images on a real Docker Engine,
minutes, as root where none answers) and `rehearsal` (the real trainers, minutes). A tier that fails does not hide the
others; the last lines say how each went.
With `--strict`, a skipped test fails, unless its reason says that it is expected where the checks run.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ENVIRONMENTS = Path(os.environ.get("CORTEX_HOME") or ROOT / ".cortex") / "environments"
INFRA = ENVIRONMENTS / "infra" / "bin" / "python"
TESTBED = ENVIRONMENTS / "testbed" / "bin" / "python"

PYTEST = ["-m", "pytest", "-q", "--durations=5"]
ELSEWHERE = ["--ignore=tests/infra", "--ignore=tests/testbed", "--ignore=tests/containers"]
"""What is tested in environments of its own, or on an engine."""

ALONE = "tests/rehearsal/test_rehearsal.py"
"""The whole rehearsal has a time to keep: nothing else runs beside it."""

TIERS: dict[str, list[list[str | Path]]] = {
    "lint": [
        [BIN / "ruff", "format", "--check", "--quiet", "."],
        [BIN / "ruff", "check", "--quiet", "."],
        [BIN / "hadolint", "images/Dockerfile"],
        [BIN / "pyright", "--pythonpath", INFRA, "infra", "tests/infra"],
        [BIN / "pyright", "--pythonpath", TESTBED, "tests/testbed"],
        [BIN / "pyright", "--pythonpath", sys.executable, "cortex", "scripts", "tests"],
    ],
    "unit": [[sys.executable, *PYTEST, "-n", "2", "-m", "not rehearsal", *ELSEWHERE]],
    "infra": [[INFRA, *PYTEST, "-n", "2", "tests/infra"]],
    "testbed": [[TESTBED, *PYTEST, "tests/testbed"]],
    "containers": [[sys.executable, *PYTEST, "--capture=no", "tests/containers"]],
    "rehearsal": [
        [sys.executable, *PYTEST, "-m", "rehearsal", ALONE],
        [sys.executable, *PYTEST, "-m", "rehearsal", "-n", "2", "--dist", "loadfile", f"--ignore={ALONE}", *ELSEWHERE],
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", choices=TIERS, action="append", help="only this one; may be given again")
    parser.add_argument("--strict", action="store_true", help="fail on a skip that is not expected")
    args = parser.parse_args()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    if args.strict:
        environment["CORTEX_STRICT"] = "1"
    results: list[tuple[str, bool, float]] = []
    for name in args.tier or TIERS:
        print(f"== {name}", flush=True)
        started = time.monotonic()
        codes = [subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode for command in TIERS[name]]
        results.append((name, not any(codes), time.monotonic() - started))
    for name, passed, seconds in results:
        print(f"{name:<10} {'passed' if passed else 'FAILED'}  {seconds:6.0f} s")
    passed = sum(passed for _, passed, _ in results)
    print(f"{passed} passed, {len(results) - passed} failed")
    sys.exit(passed < len(results))


if __name__ == "__main__":
    main()
