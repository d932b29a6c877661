"""All checks that this machine can run: `make test`.

The tiers, in order: `lint` (format, lint, types), `unit`, `integration` (programs and servers on loopback, minutes),
`fuzz` (generated inputs, minutes), `infra` (stacks in an emulated cloud), `anyone` (the kit set up and used by a plain
user on an awkward machine, with each Python that is installed, as root, minutes), `trainers` (the real trainers, killed
at random times, minutes), `testbed` (the real SkyPilot in a cloud of sandboxes, minutes, as root), `containers` (the
images on a real Docker Engine, minutes, as root where no engine answers), `browser` (pages in a headless Chromium, as
root where there is none) and `rehearsal` (the shipped pipeline with a time limit, minutes). Tiers run one after the
other.
A tier that fails does not stop the others; the last lines list each test that failed, and the results.
With `--strict`, a skipped test fails, unless its reason says that the skip is expected where the checks run.
With `--full`, tests that stop after a fixed time run a fixed, large number of examples instead, and all of the longest
cases run; otherwise some of them are drawn, by the seed that is printed (set CORTEX_DRAW to repeat it).
"""

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ENVIRONMENTS = Path(os.environ.get("CORTEX_HOME") or ROOT / ".cortex") / "environments"
INFRA = ENVIRONMENTS / "infra" / "bin" / "python"
TESTBED = ENVIRONMENTS / "testbed" / "bin" / "python"
BROWSER = ENVIRONMENTS / "browser" / "bin" / "python"
DOCS = ENVIRONMENTS / "docs" / "bin" / "python"

MODULE = [sys.executable, "-m"]
PYTEST = ["-m", "pytest", "-q", "--durations=5"]
ELSEWHERE = [f"--ignore=tests/{folder}" for folder in ("anyone", "fuzz", "infra", "testbed", "containers", "browser")]
"""Excludes the tests that have tiers of their own, because of their duration, environment, or engine."""

Command = list[str | Path]


@dataclass(frozen=True)
class Result:
    """Result of a tier."""

    passed: bool
    seconds: float
    failures: tuple[str, ...] = ()
    """Each test that failed, with the beginning of its error."""


TIERS: dict[str, list[Command]] = {
    "lint": [
        [*MODULE, "ruff", "format", "--check", "--quiet", "."],
        [*MODULE, "ruff", "check", "--quiet", "."],
        [BIN / "hadolint", "images/Dockerfile"],
        [*MODULE, "pyright", "--pythonpath", INFRA, "infra", "tests/infra"],
        [*MODULE, "pyright", "--pythonpath", TESTBED, "tests/testbed"],
        [*MODULE, "pyright", "--pythonpath", BROWSER, "tests/browser"],
        [*MODULE, "pyright", "--pythonpath", sys.executable, "cortex", "examples", "scripts", "tests"],
    ],
    "unit": [[sys.executable, *PYTEST, "-n", "2", "-m", "not rehearsal and not integration", *ELSEWHERE]],
    # More processes than for `unit`: half of these tests' time is waiting.
    "integration": [[sys.executable, *PYTEST, "-n", "4", "-m", "integration and not rehearsal", *ELSEWHERE]],
    "fuzz": [[sys.executable, *PYTEST, "tests/fuzz"]],
    "infra": [[INFRA, *PYTEST, "-n", "2", "tests/infra"]],
    "anyone": [[sys.executable, *PYTEST, "tests/anyone"]],
    "trainers": [
        [sys.executable, *PYTEST, "-m", "rehearsal and not timed", "-n", "2", "--dist", "loadfile", *ELSEWHERE]
    ],
    "testbed": [[TESTBED, *PYTEST, "tests/testbed"]],
    "containers": [[sys.executable, *PYTEST, "--capture=no", "tests/containers"]],
    "browser": [[BROWSER, *PYTEST, "tests/browser"]],
    "rehearsal": [[sys.executable, *PYTEST, "-m", "timed", *ELSEWHERE]],
}
"""Commands of each tier; all run, one after the other, even if one fails."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", choices=TIERS, action="append", help="only this one; may be given again")
    parser.add_argument("--strict", action="store_true", help="fail on a skip that is not expected")
    parser.add_argument("--full", action="store_true", help="run thousands of examples where a fixed time is the rule")
    args = parser.parse_args()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    if args.strict:
        environment["CORTEX_STRICT"] = "1"
    if args.full:
        environment["CORTEX_FULL"] = "1"
    else:
        environment.setdefault("CORTEX_DRAW", str(secrets.randbelow(1_000_000)))
        print(f"long cases are drawn by CORTEX_DRAW={environment['CORTEX_DRAW']}", flush=True)
    # A shell makes background commands ignore Ctrl-C, and the programs started here would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        results = {name: run(name, TIERS[name], environment) for name in args.tier or TIERS}
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    for result in results.values():
        print("".join(f"{failure}\n" for failure in result.failures), end="")
    for name, result in results.items():
        print(f"{name:<11} {'passed' if result.passed else 'FAILED'}  {result.seconds:6.0f} s")
    passed = sum(result.passed for result in results.values())
    print(f"{passed} passed, {len(results) - passed} failed")
    sys.exit(passed < len(results))


def run(name: str, commands: Sequence[Command], environment: Mapping[str, str]) -> Result:
    """Run a tier's commands, one after the other."""
    print(f"== {name} ({shutil.disk_usage(ROOT).free / 1e9:.0f} GB of disk free)", flush=True)
    started = time.monotonic()
    failures: list[str] = []
    codes: list[int] = []
    with tempfile.TemporaryDirectory(prefix="cortex-check-") as scratch:
        report = Path(scratch, "report.xml")
        for command in commands:
            codes.append(call([*command, f"--junit-xml={report}"] if "pytest" in command else command, environment))
            failures += failed_tests(report)
            report.unlink(missing_ok=True)
    return Result(not any(codes), time.monotonic() - started, tuple(failures))


def failed_tests(report: Path) -> list[str]:
    """The tests that failed by a report of pytest, each with the beginning of its error; empty without a report."""
    if not report.exists():
        return []
    return [
        f"FAILED {case.get('classname')}::{case.get('name')}: {' '.join((fault.get('message') or '').split())[:300]}"
        for case in ElementTree.parse(report).iter("testcase")
        for fault in case
        if fault.tag in ("failure", "error")
    ]


def call(command: Command, environment: Mapping[str, str]) -> int:
    """Run a program in its own process group, so that it gets only one signal, and return its exit code.

    On Ctrl-C or SIGTERM the program is interrupted, and this waits until it has cleaned up.
    """
    words = [str(word) for word in command]
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, process_group=0) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
            raise


if __name__ == "__main__":
    main()
