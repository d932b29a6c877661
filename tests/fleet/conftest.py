from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from cortex.artifacts.artifact import Artifact, describe, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.folders import seal
from cortex.runs.context import output_folder
from tests.artifacts.strategies import write
from tests.fleet.services import cloud, moto_url
from tests.fleet.ssh_server import Programs, SshServer, find_programs

__all__ = ["cloud", "moto_url"]

RUN = "demo-1"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


@pytest.fixture
def release(store: FolderStore, tmp_path: Path) -> Artifact:
    """A run whose release was made from a model, which was made from a dataset and a base from elsewhere."""
    prefix = f"runs/{RUN}"
    data = publish(
        write(tmp_path / "d", {"x": b"1"}), store, f"{prefix}/data/artifact", kind="dataset", seeds={"data": 7}
    )
    model = publish(
        write(tmp_path / "m", {"w": b"2"}),
        store,
        f"{prefix}/sft/artifact",
        kind="model",
        inputs={"data": data.digest, "base": "b" * 64},
    )
    return publish(
        write(tmp_path / "r", {"weights": b"w" * 5000, "card.md": b"# card"}),
        store,
        f"{prefix}/release",
        kind="release",
        inputs={"model": model.digest, "data": data.digest},
    )


@pytest.fixture(scope="session")
def ssh_programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    programs = find_programs(tmp_path_factory.mktemp("packages"))
    if programs is None:
        pytest.skip("expected: needs sshd and rsync: apt install openssh-server rsync")
    return programs


@pytest.fixture
def ssh_server(ssh_programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """An instance to reach as `box`; this process finds the test's rsync and ssh configuration."""
    server = SshServer(tmp_path / "ssh", ssh_programs)
    server.start()
    monkeypatch.setenv("PATH", ssh_programs.environment["PATH"])
    monkeypatch.setenv("LD_LIBRARY_PATH", ssh_programs.libraries)
    monkeypatch.setenv("CORTEX_SSH_CONFIG", str(server.client_config))
    yield server
    server.kill()


@pytest.fixture
def on_the_box(ssh_server: SshServer, tmp_path: Path) -> Artifact:
    """A sealed release, in the folder where the release stage keeps it on an instance."""
    folder = output_folder(ssh_server.home / "sky_workdir/.cortex/work" / RUN, "release")
    files = {"model/weights": Random(1).randbytes(3_000_000), "card.md": b"# card", "empty": b"", "a b/c'd": b"odd"}
    write(folder, files)
    manifest = describe(folder, kind="release", inputs={"model": "a" * 64})
    seal(folder, manifest.data)
    return Artifact(folder, manifest)
