"""Everything that this machine can check: `make test`.

The tiers, in order: `lint` (format, lint, types), `unit`, `infra` (the cloud's ground in an emulated cloud), `trainers`
(the real trainers, killed at any moment, minutes), `testbed` (the real SkyPilot in a cloud of sandboxes, minutes, as
root), `containers` (the images on a real Docker Engine, minutes, as root where none answers) and `rehearsal` (the
shipped pipeline against the clock, minutes). What mostly waits runs beside the others, and its output is shown after
theirs. A tier that fails does not hide the others; the last lines say how each went.
With `--strict`, a skipped test fails, unless its reason says that it is expected where the checks run.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ENVIRONMENTS = Path(os.environ.get("CORTEX_HOME") or ROOT / ".cortex") / "environments"
INFRA = ENVIRONMENTS / "infra" / "bin" / "python"
TESTBED = ENVIRONMENTS / "testbed" / "bin" / "python"

PYTEST = ["-m", "pytest", "-q", "--durations=5"]
ELSEWHERE = ["--ignore=tests/infra", "--ignore=tests/testbed", "--ignore=tests/containers"]
"""What is tested in environments of its own, or on an engine."""

Command = list[str | Path]


@dataclass(frozen=True)
class Tier:
    """Commands that are run one after the other, whatever becomes of each."""

    commands: tuple[Command, ...]
    runs: Literal["in turn", "beside", "alone"] = "in turn"
    """What runs `beside` starts first, with those that take their turns; what runs `alone` comes after all others."""


@dataclass(frozen=True)
class Result:
    """How a tier went."""

    passed: bool
    seconds: float


TIERS = {
    "lint": Tier(
        (
            [BIN / "ruff", "format", "--check", "--quiet", "."],
            [BIN / "ruff", "check", "--quiet", "."],
            [BIN / "hadolint", "images/Dockerfile"],
            [BIN / "pyright", "--pythonpath", INFRA, "infra", "tests/infra"],
            [BIN / "pyright", "--pythonpath", TESTBED, "tests/testbed"],
            [BIN / "pyright", "--pythonpath", sys.executable, "cortex", "scripts", "tests"],
        )
    ),
    "unit": Tier(([sys.executable, *PYTEST, "-n", "2", "-m", "not rehearsal", *ELSEWHERE],)),
    "infra": Tier(([INFRA, *PYTEST, "-n", "2", "tests/infra"],)),
    "trainers": Tier(
        ([sys.executable, *PYTEST, "-m", "rehearsal and not timed", "-n", "2", "--dist", "loadfile", *ELSEWHERE],)
    ),
    "testbed": Tier(([TESTBED, *PYTEST, "tests/testbed"],), runs="beside"),
    "containers": Tier(([sys.executable, *PYTEST, "--capture=no", "tests/containers"],)),
    "rehearsal": Tier(([sys.executable, *PYTEST, "-m", "timed", *ELSEWHERE],), runs="alone"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", choices=TIERS, action="append", help="only this one; may be given again")
    parser.add_argument("--strict", action="store_true", help="fail on a skip that is not expected")
    args = parser.parse_args()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    if args.strict:
        environment["CORTEX_STRICT"] = "1"
    chosen = {name: TIERS[name] for name in args.tier or TIERS}
    # A shell that runs this behind its back has it ignore Ctrl-C, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        results = asyncio.run(check(chosen, environment))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    for name in chosen:
        print(f"{name:<10} {'passed' if results[name].passed else 'FAILED'}  {results[name].seconds:6.0f} s")
    passed = sum(result.passed for result in results.values())
    print(f"{passed} passed, {len(results) - passed} failed")
    sys.exit(passed < len(results))


async def check(tiers: Mapping[str, Tier], environment: Mapping[str, str]) -> dict[str, Result]:
    """Run every tier. Cancelled, as by Ctrl-C or SIGTERM, it ends what runs, and waits until that has cleaned up."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    results: dict[str, Result] = {}

    async def in_turn(name: str) -> None:
        print(f"== {name}", flush=True)
        results[name] = await run(tiers[name].commands, environment)

    async def beside(name: str, output: Path) -> None:
        results[name] = await run(tiers[name].commands, environment, output)

    waiting = [name for name, tier in tiers.items() if tier.runs == "beside" and len(tiers) > 1]
    with tempfile.TemporaryDirectory() as folder:
        async with asyncio.TaskGroup() as group:
            for name in waiting:
                group.create_task(beside(name, Path(folder, name)))
            for name, tier in tiers.items():
                if name not in waiting and tier.runs != "alone":
                    await in_turn(name)
        for name in waiting:
            print(f"== {name}", flush=True)
            print(Path(folder, name).read_text(errors="replace"), end="", flush=True)
    for name, tier in tiers.items():
        if tier.runs == "alone":
            await in_turn(name)
    return results


async def run(commands: Sequence[Command], environment: Mapping[str, str], output: Path | None = None) -> Result:
    """Run commands one after the other, with what they say in the file `output`, or here."""
    started = time.monotonic()
    codes = [await call(command, environment, output) for command in commands]
    return Result(not any(codes), time.monotonic() - started)


async def call(command: Command, environment: Mapping[str, str], output: Path | None) -> int:
    """The exit code of a program, which is in a process group of its own: one signal ends it, and no second one."""
    with output.open("ab") if output else nullcontext() as file:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file and subprocess.STDOUT,
            process_group=0,
        )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGINT)
            await process.wait()
            raise


if __name__ == "__main__":
    main()
