"""Two machines on one: a network namespace for each, a cable between them, and a cable from each to an S3 server."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.artifacts.verify import verify
from cortex.local.environments import environment, on_path
from cortex.runs.ledger import Event
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import BUCKET, KEY, SECRET, Proxy, Server

ADDRESSES = ("10.221.0.1", "10.221.0.2")
"""The two ends of the cable between them, as SkyPilot would name its machines' addresses."""

URL = f"s3://{BUCKET}/kit"
SECRET_OF_RUN = "a-secret-of-tests-32-letters-long"


@dataclass
class Machine:
    """One of the two: its programs see its own network and its own disk alone."""

    rank: int
    namespace: str
    home: Path
    variables: Mapping[str, str]
    output: str = ""
    process: "subprocess.Popen[str] | None" = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.home / "program.log"

    def start(self, run: str, stage: str, image: str) -> None:
        self.launch(image, [stage, "--run", run], self.variables)

    def launch(self, image: str, words: list[str], variables: Mapping[str, str]) -> None:
        folder = environment(image, Settings())
        self.home.mkdir(parents=True, exist_ok=True)
        command = ["ip", "netns", "exec", self.namespace, folder / "bin" / "python", "-m", "cortex", "run", *words]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env={**variables, **on_path(folder), "CORTEX_HOME": str(self.home)},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,
            )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process
        os.killpg(self.process.pid, number)

    def finish(self, timeout: float = 300) -> int:
        assert self.process
        try:
            return self.process.wait(timeout)
        finally:
            with suppress(ProcessLookupError):
                self.kill()
            self.output = self.log.read_text()


@dataclass
class Pair:
    """Two machines and what they share: a bucket, at another address for each."""

    machines: tuple[Machine, Machine]
    bucket: Path
    """The folder that the bucket's server serves. The server does not see at once what is written there directly."""
    store: Store

    def start(self, run: str, stage: str, image: str) -> None:
        for machine in self.machines:
            machine.start(run, stage, image)

    def finish(self) -> tuple[int, ...]:
        return tuple(machine.finish() for machine in self.machines)

    def said(self) -> str:
        return "\n".join(f"--- node {machine.rank}\n{machine.log.read_text()[-3000:]}" for machine in self.machines)

    def await_(self, seen: Callable[[], bool], seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not seen():
            running = [machine.process is not None and machine.process.poll() is None for machine in self.machines]
            assert all(running), self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def alone(self, run: str, *words: str) -> int:
        """Run stages without a trainer on the first machine, as a task of one machine does."""
        machine = self.machines[0]
        variables = {name: value for name, value in machine.variables.items() if not name.startswith("SKYPILOT_")}
        machine.launch("data", [*words, "--run", run], variables)
        return machine.finish()

    def checkpoints(self, run: str, stage: str) -> Path:
        return self.bucket / "runs" / run / stage / "checkpoints"

    def committed(self, run: str, stage: str) -> list[int]:
        """Steps of the checkpoints that are whole in the bucket."""
        return sorted(int(path.parent.name) for path in self.checkpoints(run, stage).glob("*/manifest.json"))

    def events(self, run: str) -> list[Event]:
        files = sorted((self.bucket / "runs" / run / "ledger").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def files(self, run: str, stage: str) -> dict[str, str]:
        """The SHA-256 of each file of a stage's artifact, once it is verified."""
        found = verify(self.bucket / "runs" / run / stage / "artifact")
        assert found.ok, str(found)
        return {file.name: file.sha256 for file in found.manifest.files}


def lacking() -> str | None:
    """The reason why two network namespaces cannot be made here; None where they can."""
    if os.geteuid():
        return "network namespaces are made by root"
    tried = subprocess.run(["ip", "netns", "add", "cortex-tried"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", "cortex-tried"], capture_output=True, check=False)
    return f"no network namespace can be made: {tried.stderr.strip()}" if tried.returncode else None


@contextmanager
def two_machines(folder: Path) -> Generator[Pair]:
    """Raise the two, and the bucket."""
    _delete_left_over()
    server = Server(folder / "served")
    server.start()
    # The proxy listens at this end of both cables, and on loopback for this process.
    proxy = Proxy(server, host="0.0.0.0")
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    before = dict(os.environ)
    names = [f"cortex-node-{os.getpid()}-{rank}" for rank in (0, 1)]
    try:
        for rank, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("-netns", name, "link", "set", "lo", "up")
            _cable(f"cx{os.getpid()}-{rank}", None, f"10.221.{rank + 1}.1", "eth0", name, f"10.221.{rank + 1}.2")
        _cable("wire0", names[0], ADDRESSES[0], "wire0", names[1], ADDRESSES[1])
        machines = [
            Machine(rank, name, folder / name, _variables(rank, proxy.server_port)) for rank, name in enumerate(names)
        ]
        os.environ.update(_reach("127.0.0.1", proxy.server_port))
        yield Pair((machines[0], machines[1]), folder / "served" / BUCKET / "kit", open_store(URL))
    finally:
        os.environ.clear()
        os.environ.update(before)
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        proxy.shutdown()
        proxy.server_close()
        server.kill()


def _delete_left_over() -> None:
    """Delete namespaces of tests that were killed: their cables still have the addresses needed here."""
    for line in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines():
        found = re.match(r"cortex-node-(\d+)-\d", line)
        if found and not Path("/proc", found[1]).exists():
            _ip("netns", "delete", found[0])


def _variables(rank: int, port: int) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CORTEX_", "RUN_ID"))}
    reach = _reach(f"10.221.{rank + 1}.1", port)
    return (
        others
        | reach
        | {
            "CORTEX_BUCKET": URL,
            "CORTEX_RUN_SECRET": SECRET_OF_RUN,
            "PYTHONPATH": str(CHECKOUT),
            "SKYPILOT_NODE_IPS": "\n".join(ADDRESSES),
            "SKYPILOT_NODE_RANK": str(rank),
        }
    )


def _reach(host: str, port: int) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _cable(left: str, left_in: str | None, left_address: str, right: str, right_in: str, right_address: str) -> None:
    """Join two namespaces (None: this process's own) by two devices with an address each."""
    here = ["-netns", left_in] if left_in else []
    _ip(*here, "link", "add", left, "type", "veth", "peer", "name", right, "netns", right_in)
    for prefix, device, address in ((here, left, left_address), (["-netns", right_in], right, right_address)):
        _ip(*prefix, "address", "add", f"{address}/30", "dev", device)
        _ip(*prefix, "link", "set", device, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
