"""Generated settings, places, keys and YAML: each is taken, or refused in one line that does not show keys.

Taken values go on to the libraries that read them, in a program of its own: the bucket's client ends a process
that gives it an address or a key that it cannot use.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import strategies as st

from cortex.errors import CortexError
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.settings import CHECKOUT, Settings
from cortex.urls import read_bucket_url
from cortex.yaml_reader import read_yaml

from .runner import Fuzz

SECRETS = (
    "CORTEX_TEACHER_API_KEY",
    "CORTEX_FLIPSIDE_API_KEY",
    "CORTEX_DUNE_API_KEY",
    "HF_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
)
PLACES = ("CORTEX_HOME", "CORTEX_BUCKET", "CORTEX_SSH_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
ADDRESSES = ("CORTEX_TEACHER_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "https_proxy", "ALL_PROXY")
OTHERS = (
    "CORTEX_REGISTRY",
    "CORTEX_OWNER",
    "CORTEX_PREFLIGHT_SECONDS",
    "CORTEX_CONTAINER_MEMORY",
    "CORTEX_BASE_IMAGE",
    "CORTEX_BUILD_OPTIONS",
    "NO_PROXY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_SKIP_SIGNATURE",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_CONDITIONAL_PUT",
)
NAMES: tuple[str, ...] = (*SECRETS, *PLACES, *ADDRESSES, *OTHERS)

PIECES = (
    "http", "https", "socks5", "s3", "S3", "gs", "file", "://", ":", "/", "//", "@", "#", "?x=1", "%41", "%", "..", "~",
    "$HOME", "${", "}", "[::1]", "[", "127.0.0.1", "999.1.1.1", "0x7f.1", "localhost", "bucket", "Bucket_Upper",
    "minio", "xn--", "::1", "fe80::1%", "/8", "*.", ".",
    "9", "0", "65536", "-1", "1e5", "nan", "inf", " ", "\n", "\t", '"', "'", "\u201c", "é", "\udcff", "\x7f", "*", ",",
)  # fmt: skip

texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=7).map("".join),
    st.text(st.characters(exclude_characters="\0", codec=None, exclude_categories=()), max_size=20),
).filter(lambda text: "\0" not in text and _is_an_argument(text))


def _is_an_argument(text: str) -> bool:
    """True for text that an environment can hold: bytes outside of UTF-8 arrive as lone surrogates of one kind."""
    return not any("\ud800" <= letter < "\udc80" or "\udcff" < letter <= "\udfff" for letter in text)


@contextmanager
def only(variables: dict[str, str]) -> Generator[None]:
    """These variables, and none that could reach a real service."""
    kept = dict(os.environ)
    hidden = ("CORTEX_", "AWS_", "HF_", "SSL_", "REQUESTS_", "CURL_")
    for name in kept:
        if name.startswith(hidden) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def check_refusal(error: CortexError, variables: dict[str, str]) -> None:
    message = str(error)
    assert error.exit_code == 78 and "\n" not in message and len(message) < 5000, message
    named = [name for name in variables if name in message]
    assert named, message
    for name in SECRETS:
        value = variables.get(name, "")
        elsewhere = any(value in other for another, other in variables.items() if another != name)
        assert len(value) < 8 or value not in message or elsewhere, f"{name} is shown"


@dataclass
class Client:
    """A program that gives taken values to the libraries, and reports on each."""

    process: "subprocess.Popen[str]"

    def ask(self, variables: dict[str, str]) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(variables) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the program ended"
        return json.loads(answer)


PROGRAM = """
import json, os, sys
import httpx, httpx2, obstore
from cortex.artifacts.bucket_client import connect
from cortex.errors import CortexError
for line in sys.stdin:
    os.environ.clear()
    os.environ.update(json.loads(line))
    try:
        store = connect("s3://bucket/kit")
        obstore.sign(store, "GET", "key", __import__("datetime").timedelta(minutes=1))
        for library in (httpx, httpx2):
            library.Client(verify=False).close()  # the proxies are read; certificates would take most of the time
        said = "taken"
    except CortexError as error:
        said = f"refused {error.exit_code} {error}"
    except BaseException as error:  # the client's own panic is none that `Exception` holds
        said = f"FAILED {type(error).__name__}: {error}"
    print(json.dumps(said), flush=True)
"""


@pytest.fixture(scope="module")
def client() -> Generator[Client, None, None]:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Client(process)
        process.terminate()


def test_generated_settings_are_taken_or_refused_in_a_line(fuzz: Fuzz, client: Client) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}
    quiet = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }

    def check(variables: dict[str, str]) -> None:
        with tempfile.TemporaryDirectory() as folder, only({"HOME": folder, **variables}):
            try:
                settings = Settings()
            except CortexError as error:
                check_refusal(error, variables)
                return
            assert not str(settings.home).startswith("~") and "$HOME" not in settings.bucket_url
            assert not any(Path(folder).iterdir())
        answer = client.ask({"AWS_ENDPOINT_URL": "http://127.0.0.1:9", **quiet, **keys, **variables})
        assert answer == "taken" or answer.startswith("refused 78 "), answer

    fuzz(st.dictionaries(st.sampled_from(NAMES), texts, min_size=1, max_size=3), check)


def test_generated_places_are_read_or_refused_in_a_line(fuzz: Fuzz) -> None:
    def check(text: str) -> None:
        try:
            place = read_bucket_url(text)
        except ValueError as error:
            assert type(error) is ValueError and "\n" not in repr(str(error))
            return
        assert place == place.strip() and place
        assert read_bucket_url(place) == place or "$" in place

    fuzz(texts, check)


def test_generated_yaml_is_read_or_refused_in_a_line(fuzz: Fuzz) -> None:
    scalars = st.one_of(
        texts, st.sampled_from(["true", "yes", "1:30", "012", "1_0", ".nan", "1e9", "2020-01-01", "~", "9" * 400])
    )
    lines = st.lists(
        st.tuples(st.sampled_from(["seed", "name", "budget", "<<", "a", "- ", "? ", "&x ", "*x"]), scalars).map(
            lambda pair: f"{pair[0]}: {pair[1]}"
        ),
        max_size=6,
    )

    def check(given: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "mine.yaml")
            path.write_bytes("\n".join(given).encode(errors="surrogateescape"))
            try:
                json.dumps(read_yaml(path, exponents=True), allow_nan=False)
            except CortexError as error:
                assert error.exit_code == 78 and "mine.yaml" in str(error) and "\n" not in str(error), error

    fuzz(lines, check)


def test_generated_values_of_a_profile_are_taken_or_refused_in_a_line(fuzz: Fuzz) -> None:
    shipped = read_yaml(PROFILES / "rehearsal.yaml", exponents=True)
    keys = [f"{section}.{key}" for section, inner in shipped.items() if isinstance(inner, dict) for key in inner]
    values = st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.integers(), max_size=2))

    def check(overrides: dict[str, object]) -> None:
        try:
            profile = load_profile("rehearsal", dict(overrides))
        except CortexError as error:
            assert error.exit_code == 78 and "rehearsal.yaml" in str(error) and "\n" not in str(error), error
            return
        assert type(profile).from_json(profile.to_json(), "profile.json") == profile

    fuzz(
        st.dictionaries(st.sampled_from([*keys, "seed", "name", "teacher.url"]), values, min_size=1, max_size=2), check
    )
