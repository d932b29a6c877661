"""A store and a folder on two mounts of one file system, as in a container with both."""

import subprocess
import sys
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT

PROGRAM = """
import sys
from pathlib import Path
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
folder = Path(sys.argv[2], "made")
assert folder.stat().st_dev == Path(sys.argv[1]).stat().st_dev
print(open_store(sys.argv[1]).adopt(folder, "runs/r/data", keep=False), folder.exists())
"""


def test_a_folder_is_adopted_across_mounts(tmp_path: Path) -> None:
    store, work = tmp_path / "store", tmp_path / "work"
    store.mkdir()
    (work / "made" / "deep").mkdir(parents=True)
    (work / "made" / "deep" / "file").write_text("bytes")
    mounts = f'mount --bind "{store}" "{store}" && mount --bind "{work}" "{work}" && exec "$@"'
    apart = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*apart, mounts, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("expected: this machine lets nobody mount, not even in a namespace of their own")
    done = subprocess.run(
        [*apart, mounts, "sh", sys.executable, "-c", PROGRAM, store, work],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True False\n", done.stderr
    assert (store / "runs" / "r" / "data" / "deep" / "file").read_text() == "bytes"
    assert not (work / "made").exists()
