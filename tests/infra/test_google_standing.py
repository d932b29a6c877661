"""Machines in a stack's network at Google. A stand-in for `gcloud` prints the answer that it is given."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError, RefusedError
from infra.google.standing import require_no_machines
from tests.infra.samples import GOOGLE

API = "https://www.googleapis.com/compute/v1/projects/cortex-lab"

GCLOUD = f"""#!{sys.executable}
import pathlib, sys
here = pathlib.Path(__file__).parent
(here / "asked").write_text(" ".join(sys.argv[1:]))
print((here / "answer").read_text())
if (here / "out").exists():
    sys.exit("ERROR: (gcloud.compute.instances.list)\\n You do not currently have an active account")
"""


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's folder, the only one on PATH."""
    program = tmp_path / "gcloud"
    program.write_text(GCLOUD)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _machine(name: str, network: str, **labels: str) -> dict[str, Any]:
    return {
        "name": name,
        "zone": f"{API}/zones/us-central1-a",
        "status": "TERMINATED",
        "labels": labels,
        "networkInterfaces": [{"network": f"{API}/global/networks/{network}"}],
    }


def test_each_is_named_with_the_command_that_ends_it(gcloud: Path) -> None:
    cluster = _machine("sft-1-ab12-head", "cortex-dev", **{"ray-cluster-name": "sft-1-ab12"})
    bare = _machine("by-hand", "cortex-dev")
    others = [_machine("theirs", "default"), _machine("prods", "x-cortex-dev")]
    (gcloud / "answer").write_text(json.dumps([cluster, bare, *others]))
    with pytest.raises(RefusedError) as caught:
        require_no_machines(GOOGLE)
    assert str(caught.value) == (
        "network cortex-dev of project cortex-lab stays while machines stand in it: "
        "sft-1-ab12-head (us-central1-a, TERMINATED): `sky down sft-1`; by-hand (us-central1-a, TERMINATED): "
        "`gcloud compute instances delete by-hand --zone us-central1-a --project cortex-lab`"
    )
    assert (gcloud / "asked").read_text() == "compute instances list --project cortex-lab --format json"


def test_others_machines_are_no_reason(gcloud: Path) -> None:
    for found in ([], [_machine("theirs", "default")]):
        (gcloud / "answer").write_text(json.dumps(found))
        require_no_machines(GOOGLE)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: (folder / "out").touch(), r"\(ERROR: \(gcloud.compute.instances.list\) You do not currently"),
        (lambda folder: (folder / "gcloud").unlink(), "No such file or directory: 'gcloud'"),
        (lambda folder: (folder / "answer").write_text("Updates are available"), "Expecting value"),
    ],
)
def test_without_an_answer_nothing_is_taken_down(gcloud: Path, spoil: Any, fault: str) -> None:
    (gcloud / "answer").write_text("[]")
    spoil(gcloud)
    with pytest.raises(
        ConfigError, match=rf"machines in network cortex-dev of project cortex-lab .*{fault}.*gcloud auth"
    ):
        require_no_machines(GOOGLE)
