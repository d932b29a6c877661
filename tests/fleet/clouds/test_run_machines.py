"""Errors of teardown where SkyPilot cannot be asked. Real machines are destroyed in `tests/testbed`."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.receipt import Receipt
from cortex.fleet.home.download import download
from cortex.settings import CHECKOUT
from tests.conftest import Cortex
from tests.fleet.conftest import RUN

pytestmark = pytest.mark.integration


@pytest.fixture
def teardown(cortex: Cortex, store: FolderStore, tmp_path: Path) -> Cortex:
    """`cortex teardown`, for a user whose home is empty."""
    return partial(cortex, "teardown", HOME=str(tmp_path), CORTEX_BUCKET=store.url)


@pytest.fixture
def brought_home(store: FolderStore, release: Artifact, tmp_path: Path) -> Receipt:
    assert release.digest
    return download(RUN, store, tmp_path / "home")


@pytest.mark.usefixtures("brought_home")
def test_a_run_that_never_left_this_machine_has_nothing_to_destroy(teardown: Cortex, tmp_path: Path) -> None:
    done = teardown(RUN)
    assert (done.returncode, done.stderr) == (0, "")
    unsigned, nothing = done.stdout.splitlines()
    assert unsigned == f"the release of run {RUN} is unsigned"
    assert nothing == f"nothing to destroy: SkyPilot has no job, cluster or service of run {RUN}"
    assert not (tmp_path / ".sky" / "api_server").exists(), "a server was started only to say so"


@pytest.mark.usefixtures("release")
def test_without_a_receipt_it_refuses(teardown: Cortex) -> None:
    done = teardown(RUN)
    assert done.returncode == 77
    assert done.stderr.count("\n") == 1 and f"cortex download {RUN}" in done.stderr


def test_to_abandon_one_types_the_id_out(teardown: Cortex) -> None:
    unasked = teardown(RUN, "--abandon")
    assert unasked.returncode == 77 and "`--confirm` and the run's id" in unasked.stderr
    wrong = teardown(RUN, "--abandon", "--confirm", "demo-2")
    assert wrong.returncode == 2 and "nothing was destroyed" in wrong.stderr
    done = teardown(RUN, "--abandon", "--confirm", RUN)
    assert done.returncode == 0 and done.stdout.startswith("nothing to destroy")


class OtherVersion(BaseHTTPRequestHandler):
    """A SkyPilot server that answers a client of an incompatible version."""

    def do_GET(self) -> None:
        body = json.dumps({"error": "version_mismatch", "message": "Your SkyPilot client version is too old: 0.14.1"})
        self.send_response(400)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_request(self, code: object = None, size: object = None) -> None:
        pass


@contextmanager
def other_version() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherVersion) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def no_server() -> Generator[str]:
    yield "http://127.0.0.1:9"


@pytest.mark.usefixtures("brought_home")
@pytest.mark.parametrize(
    ("server", "words"),
    [(no_server, "does not answer: start it"), (other_version, "is of another version: Your SkyPilot client")],
)
def test_a_server_that_cannot_be_asked_is_one_line(
    server: Callable[[], AbstractContextManager[str]], words: str, teardown: Cortex
) -> None:
    with server() as url:
        done = teardown(RUN, SKYPILOT_API_SERVER_ENDPOINT=url)
    assert done.returncode == 78, done.stderr
    assert f"cannot look for machines of {RUN}: SkyPilot's server {url} {words}" in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.usefixtures("brought_home")
def test_without_skypilot_it_says_how_to_get_it(teardown: Cortex, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sky.py").write_text("raise ModuleNotFoundError(\"No module named 'sky'\")\n")
    done = teardown(RUN, PYTHONPATH=f"{tmp_path / 'broken'}:{CHECKOUT}")
    assert done.returncode == 78 and done.stderr.count("\n") == 1, done.stderr
    assert "SkyPilot is not installed here (No module named 'sky'): run `make setup`" in done.stderr
