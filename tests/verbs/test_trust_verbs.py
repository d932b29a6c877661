"""Keys, signing and trust through the command line: a release that a run left in its bucket, taken home and judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.signing_keys import make_keys
from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from tests.artifacts.strategies import write
from tests.conftest import Cortex

pytestmark = pytest.mark.integration

RUN = "r1"


@pytest.fixture
def release(store: Store, profile: Profile, tmp_path: Path) -> Artifact:
    create_run(store, RUN, profile)
    folder = write(tmp_path / "made", {"model/weights": b"w" * 1000, "README.md": b"# card"})
    return publish(folder, store, f"runs/{RUN}/release", kind="release")


def told(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """A command's output; an error is one line."""
    assert done.returncode == code, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr and len(errors) == (1 if code else 0)
    return done.stdout + done.stderr


def test_from_the_first_keys_on_what_is_downloaded_is_signed_and_said_so(
    cortex: Cortex, release: Artifact, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert "; unsigned\n" in told(cortex("download", RUN), 0)
    assert "is unsigned, and CORTEX_TRUST=signed" in told(cortex("download", RUN, CORTEX_TRUST="signed"), 77)
    assert not (release.path / "model.sig").exists()
    made = told(cortex("keys"), 0)
    assert f"{home}/keys/signing.pub (SHA256:" in made and (home / "keys/signing.key").stat().st_mode & 0o077 == 0
    refused = told(cortex("download", RUN, CORTEX_TRUST="signed"), 77)
    assert "cortex sign r1" in refused, "what has to be signed already is not signed by whoever takes it home"
    assert "; signed by signing.pub (SHA256:" in told(cortex("download", RUN), 0)
    assert (release.path / "model.sig").exists(), "the signature goes to the bucket"
    for words in (("download", RUN), ("show", RUN), ("teardown", RUN)):
        assert "signed by signing.pub (SHA256:" in told(cortex(*words, CORTEX_TRUST="signed"), 0)
    shown = json.loads(cortex("show", RUN, "--json").stdout)
    assert shown["signed"].startswith("signed by signing.pub") and shown["signer_known"] is True
    public, signature = home / "keys/signing.pub", home / "releases" / RUN / "model.sig"
    tool = [Path(sys.executable).with_name("model_signing"), "verify", "key", home / "releases" / RUN]
    tool += ["--signature", signature, "--public_key", public]
    assert subprocess.run(tool, check=False, capture_output=True).returncode == 0


def test_another_key_a_removed_one_and_a_signature_that_is_none_are_refused_where_one_is_asked_for(
    cortex: Cortex, release: Artifact, tmp_path: Path
) -> None:
    cortex("keys")
    told(cortex("download", RUN), 0)
    _, other = make_keys(tmp_path / "other")
    for words in (("download", RUN), ("teardown", RUN)):
        assert "by no key that is trusted here" in told(cortex(*words, "--key", other), 77)
    assert "by no key" in told(cortex("show", RUN, CORTEX_TRUST="signed", CORTEX_TRUSTED_KEYS=str(other.parent)), 77)
    both = tmp_path / "both"
    both.mkdir()
    (both / "ada.pub").write_bytes((tmp_path / "home/keys/signing.pub").read_bytes())
    assert "signed by ada.pub" in told(cortex("show", RUN, CORTEX_TRUST="signed", CORTEX_TRUSTED_KEYS=str(both)), 0)
    (both / "ada.pub").unlink()
    assert "by no key" in told(cortex("show", RUN, CORTEX_TRUST="signed", CORTEX_TRUSTED_KEYS=str(both)), 77)
    (release.path / "model.sig").write_bytes(b"[]")
    assert "damaged" in told(cortex("download", RUN, CORTEX_TRUST="signed"), 65)
    assert "not proven to be signed" in told(cortex("show", RUN), 0)
    assert "; signed by signing.pub" in told(cortex("download", RUN), 0), "the signature here is no worse for it"
    assert "signature is beside the bucket's copy" in told(cortex("sign", RUN), 0)
    assert "; signed by signing.pub" in told(cortex("download", RUN, CORTEX_TRUST="signed"), 0)
    assert "junk" in told(cortex("download", RUN, "--key", write(tmp_path / "j", {"junk": b"x"}) / "junk"), 78)
    assert "CORTEX_TRUST" in told(cortex("show", RUN, CORTEX_TRUST="maybe"), 78)


def test_what_is_not_as_published_is_never_signed(cortex: Cortex, release: Artifact, tmp_path: Path) -> None:
    assert "neither a folder nor a run" in told(cortex("sign", RUN), 2)
    told(cortex("download", RUN), 0)
    cortex("keys")
    copy = tmp_path / "home/releases" / RUN
    (copy / "README.md").write_bytes(b"# another card")
    for target in (RUN, copy):
        assert "README.md" in told(cortex("sign", target), 65)
    assert not (copy / "model.sig").exists() and not (release.path / "model.sig").exists()
