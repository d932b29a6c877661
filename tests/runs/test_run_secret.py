import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue, SecretStr

from cortex.artifacts.folder_store import FolderStore
from cortex.errors import ConfigError, RefusedError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run, load_run
from cortex.runs.run_secret import BOUND, KEY_FILE, RunSecret, bind_run
from cortex.settings import Settings

GIVEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path, profile: Profile) -> FolderStore:
    made = FolderStore(tmp_path / "bucket")
    create_run(made, "r", profile)
    return made


def test_one_machine_makes_one_key_and_each_run_its_own_secret(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: RunSecret.of("r", settings), range(32)))
    assert len(made) == 1
    key = tmp_path / "home" / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == [KEY_FILE]
    (secret,) = made
    assert secret != RunSecret.of("s", settings) and secret != RunSecret.of("r", Settings(home=tmp_path / "other"))
    assert secret.value not in key.read_text() and secret.value not in repr(secret)


def test_a_copy_of_the_key_is_as_good_as_the_first(tmp_path: Path) -> None:
    first, second = Settings(home=tmp_path / "a"), Settings(home=tmp_path / "b")
    secret = RunSecret.of("r", first)
    second.home.mkdir()
    (second.home / KEY_FILE).write_bytes((first.home / KEY_FILE).read_bytes())
    assert RunSecret.of("r", second) == secret


def test_a_rented_machine_uses_what_it_was_handed_and_makes_no_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", run_secret=SecretStr(GIVEN))
    assert RunSecret.of("r", settings).value == GIVEN and not settings.home.exists()


def test_a_secret_that_could_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_RUN_SECRET", "short")
    with pytest.raises(ConfigError, match="CORTEX_RUN_SECRET"):
        Settings()


@pytest.mark.parametrize("content", [b"", b"\xff", b"00" * 31, b"no hexadecimal" * 5, b"00" * 33])
def test_a_damaged_key_is_said_and_not_replaced(content: bytes, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=KEY_FILE):
        RunSecret.of("r", Settings(home=tmp_path))
    assert (tmp_path / KEY_FILE).read_bytes() == content


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigError, match="home"):
        RunSecret.of("r", Settings(home=tmp_path / "home"))


def test_a_code_is_of_its_words_run_and_secret_alone() -> None:
    secret = RunSecret("r", GIVEN)
    code = secret.code("checkpoint", "sft", "10", "abc")
    assert secret.verifies(code, "checkpoint", "sft", "10", "abc")
    others: list[tuple[RunSecret, tuple[str, ...]]] = [
        (secret, ("checkpoint", "sft", "1", "0abc")),
        (secret, ("checkpoint", "sft", "10abc")),
        (secret, ("checkpoint", "grpo", "10", "abc")),
        (secret, ("profile", "sft", "10", "abc")),
        (RunSecret("s", GIVEN), ("checkpoint", "sft", "10", "abc")),
        (RunSecret("r", GIVEN[::-1]), ("checkpoint", "sft", "10", "abc")),
    ]
    for other, words in others:
        assert not other.verifies(code, *words), (other, words)
    odd: tuple[JsonValue, ...] = (None, "", 5, True, code[:-1], code.upper(), [code], {"": code}, "\u00e9" * 64)
    for value in odd:
        assert not secret.verifies(value, "checkpoint", "sft", "10", "abc"), value


def test_a_run_is_bound_once_and_known_again(store: FolderStore, profile: Profile) -> None:
    secret = RunSecret("r", GIVEN)
    bind_run(store, secret, profile)
    written = store.get(f"runs/r/{BOUND}")
    bind_run(store, secret, profile, profile.digest)
    assert store.get(f"runs/r/{BOUND}") == written and GIVEN.encode() not in written


def test_another_secret_is_refused_before_anything_is_lost(store: FolderStore, profile: Profile) -> None:
    bind_run(store, RunSecret("r", GIVEN), profile)
    before = {entry.key: store.get(entry.key) for entry in store.list("runs/r")}
    with pytest.raises(RefusedError, match=f"copy the file {KEY_FILE} from CORTEX_HOME") as refused:
        bind_run(store, RunSecret("r", GIVEN[::-1]), profile)
    assert refused.value.exit_code == 77 and "\n" not in str(refused.value)
    assert {entry.key: store.get(entry.key) for entry in store.list("runs/r")} == before


def replaced(store: FolderStore, **changes: Any) -> Profile:
    other = load_profile("rehearsal", changes)
    store.put("runs/r/profile.json", other.to_json())
    return load_run(store, "r")


def test_a_profile_that_somebody_replaced_is_refused_by_who_holds_the_secret(
    store: FolderStore, profile: Profile
) -> None:
    bind_run(store, RunSecret("r", GIVEN), profile)
    with pytest.raises(RefusedError, match="is not the profile that run r was begun with"):
        bind_run(store, RunSecret("r", GIVEN), replaced(store, seed=77))


def test_and_by_a_worker_even_before_anything_was_bound(store: FolderStore, profile: Profile) -> None:
    with pytest.raises(RefusedError, match="is not the profile that run r was launched with"):
        bind_run(store, RunSecret("r", GIVEN), replaced(store, seed=77), profile.digest)
    assert not store.exists(f"runs/r/{BOUND}")


@pytest.mark.parametrize("odd", [b"", b"null", b"[]", b"{}", b"{", b"\xff", b"[" * 999, b'{"secret": 5}'])
def test_an_odd_binding_is_refused_in_a_line(odd: bytes, store: FolderStore, profile: Profile) -> None:
    store.put(f"runs/r/{BOUND}", odd)
    with pytest.raises(RefusedError):
        bind_run(store, RunSecret("r", GIVEN), profile)


def test_a_binding_cannot_be_moved_to_another_run(store: FolderStore, profile: Profile) -> None:
    bind_run(store, RunSecret("r", GIVEN), profile)
    create_run(store, "s", profile)
    store.put(f"runs/s/{BOUND}", json.dumps(json.loads(store.get(f"runs/r/{BOUND}"))).encode())
    with pytest.raises(RefusedError):
        bind_run(store, RunSecret("s", GIVEN), profile)
