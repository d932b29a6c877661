"""Everything that this machine can check: `make test`.

The tiers, in order: `lint` (format, lint, types), `unit`, `integration` (programs and servers on loopback, minutes),
`fuzz` (generated inputs, minutes), `infra` (the cloud's ground in an emulated cloud), `anyone` (the kit set up and used
by a plain user on an awkward machine, with each Python that is here, as root, minutes), `trainers` (the real trainers,
killed at any moment, minutes), `testbed` (the real SkyPilot in a cloud of sandboxes, minutes, as root), `containers`
(the images on a real Docker Engine, minutes, as root where none answers) and `rehearsal` (the shipped pipeline against
the clock, minutes). Each has the machine for itself.
One that fails does not hide the others; the last lines say how each went.
With `--strict`, a skipped test fails, unless its reason says that it is expected where the checks run.
With `--full`, tests that stop after a fixed time run a fixed, large number of examples instead, and all of the longest
cases are run, of which otherwise some are drawn, by the seed that is printed (CORTEX_DRAW repeats it).
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ENVIRONMENTS = Path(os.environ.get("CORTEX_HOME") or ROOT / ".cortex") / "environments"
INFRA = ENVIRONMENTS / "infra" / "bin" / "python"
TESTBED = ENVIRONMENTS / "testbed" / "bin" / "python"

MODULE = [sys.executable, "-m"]
PYTEST = ["-m", "pytest", "-q", "--durations=5"]
ELSEWHERE = [f"--ignore=tests/{folder}" for folder in ("anyone", "fuzz", "infra", "testbed", "containers")]
"""What has a tier of its own: for its time, its environment, or its engine."""

Command = list[str | Path]


@dataclass(frozen=True)
class Result:
    """How a tier went."""

    passed: bool
    seconds: float


TIERS: dict[str, list[Command]] = {
    "lint": [
        [*MODULE, "ruff", "format", "--check", "--quiet", "."],
        [*MODULE, "ruff", "check", "--quiet", "."],
        [BIN / "hadolint", "images/Dockerfile"],
        [*MODULE, "pyright", "--pythonpath", INFRA, "infra", "tests/infra"],
        [*MODULE, "pyright", "--pythonpath", TESTBED, "tests/testbed"],
        [*MODULE, "pyright", "--pythonpath", sys.executable, "cortex", "scripts", "tests"],
    ],
    "unit": [[sys.executable, *PYTEST, "-n", "2", "-m", "not rehearsal and not integration", *ELSEWHERE]],
    # Half of their time is waiting.
    "integration": [[sys.executable, *PYTEST, "-n", "4", "-m", "integration and not rehearsal", *ELSEWHERE]],
    "fuzz": [[sys.executable, *PYTEST, "tests/fuzz"]],
    "infra": [[INFRA, *PYTEST, "-n", "2", "tests/infra"]],
    "anyone": [[sys.executable, *PYTEST, "tests/anyone"]],
    "trainers": [
        [sys.executable, *PYTEST, "-m", "rehearsal and not timed", "-n", "2", "--dist", "loadfile", *ELSEWHERE]
    ],
    "testbed": [[TESTBED, *PYTEST, "tests/testbed"]],
    "containers": [[sys.executable, *PYTEST, "--capture=no", "tests/containers"]],
    "rehearsal": [[sys.executable, *PYTEST, "-m", "timed", *ELSEWHERE]],
}
"""What each runs, one after the other, whatever becomes of each."""


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
    # A shell that runs this behind its back has it ignore Ctrl-C, and so would all that is started here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        results = {name: run(name, TIERS[name], environment) for name in args.tier or TIERS}
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    for name, result in results.items():
        print(f"{name:<11} {'passed' if result.passed else 'FAILED'}  {result.seconds:6.0f} s")
    passed = sum(result.passed for result in results.values())
    print(f"{passed} passed, {len(results) - passed} failed")
    sys.exit(passed < len(results))


def run(name: str, commands: Sequence[Command], environment: Mapping[str, str]) -> Result:
    """Run a tier's commands, one after the other."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    codes = [call(command, environment) for command in commands]
    return Result(not any(codes), time.monotonic() - started)


def call(command: Command, environment: Mapping[str, str]) -> int:
    """The exit code of a program, which is in a process group of its own: one signal ends it, and no second one.

    Interrupted, as by Ctrl-C or SIGTERM, it ends the program, and waits until that has cleaned up.
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
