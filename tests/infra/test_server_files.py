"""The server's files: an archive that depends on its files alone, and scripts that a shell can read."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from cortex.settings import CHECKOUT
from infra.server.bundle import INCLUDED, Bundle, make_bundle
from infra.server.user_data import LONGEST, user_data


def _tree(folder: Path, *, time: int = 0) -> Path:
    files = {
        "cortex/__init__.py": "",
        "cortex/a/b.py": "b",
        "cortex/__pycache__/a.pyc": f"{time}",
        "images/control/requirements.lock": "uv==1 --hash=sha256:0",
        "infra/server/setup.sh": "#!/bin/bash",
        "jobs/x.yaml": "{}",
        "scripts/use_checkout.py": "",
        "scripts/other.py": "not for the server",
        "sky.yaml": "{}",
        "jobs/.env": "HF_TOKEN=hush",
        "cortex/.keys/signing.pem": "hush",
        ".env": "SECRET=1",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (time, time))
    return folder


def test_equal_files_give_equal_archives_whenever_and_wherever_they_lie(tmp_path: Path) -> None:
    one, two = (make_bundle(_tree(tmp_path / name, time=time)) for name, time in (("a", 1), ("b", 2_000_000_000)))
    assert one == two and one.key == f"server/{one.digest}.tar.gz"
    (tmp_path / "b" / "cortex/a/b.py").write_text("c")
    assert make_bundle(tmp_path / "b").digest != one.digest


def test_an_archive_holds_what_the_server_needs_and_no_secret(tmp_path: Path) -> None:
    bundle = make_bundle(_tree(tmp_path / "tree"))
    with tarfile.open(fileobj=io.BytesIO(bundle.data)) as tar:
        modes = {entry.name: entry.mode for entry in tar.getmembers()}
    assert set(modes) == {
        "cortex/__init__.py",
        "cortex/a/b.py",
        "images/control/requirements.lock",
        "infra/server/setup.sh",
        "jobs/x.yaml",
        "scripts/use_checkout.py",
        "sky.yaml",
    }
    assert modes["infra/server/setup.sh"] == 0o755 and modes["sky.yaml"] == 0o644
    assert bundle.write(tmp_path / "kept").read_bytes() == bundle.data


def test_the_checkout_has_all_that_is_packed() -> None:
    assert [name for name in INCLUDED if not (CHECKOUT / name).exists()] == []


def test_a_shell_can_read_the_scripts_whatever_the_values_hold(tmp_path: Path) -> None:
    odd = 'it\'s "quoted" $(touch gone) `x`\n'
    script = user_data(
        bundle=Bundle(b"", "0" * 64),
        bucket="b",
        region="us-east-1",
        sky={"aws": {"labels": {"x": odd}}},
        environment={},
    )
    for text in (script, (CHECKOUT / "infra/server/setup.sh").read_text()):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    # Only the two lines that write files, with the folder that they write to.
    lines = [line for line in script.splitlines() if line.startswith("base64")]
    here = "\n".join(lines).replace("/etc/cortex", str(tmp_path))
    subprocess.run(["bash", "-euo", "pipefail", "-c", here], check=True, cwd=tmp_path)
    assert yaml.safe_load((tmp_path / "sky.yaml").read_text()) == {"aws": {"labels": {"x": odd}}}
    assert (tmp_path / "environment").read_text() == "AWS_REGION=us-east-1\nAWS_DEFAULT_REGION=us-east-1\n"
    assert not (tmp_path / "gone").exists()


def test_user_data_that_ec2_would_not_take_is_not_made() -> None:
    with pytest.raises(AssertionError, match="bytes of user data"):
        user_data(bundle=Bundle(b"", ""), bucket="b", region="r", sky={"x": "y" * LONGEST}, environment={})


def test_units_start_what_the_set_up_installs() -> None:
    for unit in sorted((CHECKOUT / "infra/server").glob("*.service")):
        text = unit.read_text()
        assert "User=cortex\n" in text and "Restart=always\n" in text and "WantedBy=multi-user.target\n" in text
        (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        assert start.startswith("ExecStart=/opt/cortex/.venv/bin/"), unit
