import re

import pytest

from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import Store
from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run, list_runs, load_run, new_run_id


def test_a_run_is_entered_once_and_found_again(store: Store, profile: Profile) -> None:
    assert list_runs(store) == []
    assert create_run(store, "b", profile) == profile
    assert create_run(store, "a", profile) == profile
    assert create_run(store, "b", profile) == profile
    assert list_runs(store) == ["a", "b"]
    assert load_run(store, "b") == profile


def test_a_run_never_changes_its_profile(store: Store, profile: Profile) -> None:
    create_run(store, "a", profile)
    other = load_profile("rehearsal", {"seed": 7})
    with pytest.raises(ConfigError, match=r"run a was started under another profile .* or start a new run") as raised:
        create_run(store, "a", other)
    assert raised.value.exit_code == 78
    assert load_run(store, "a") == profile


@pytest.mark.parametrize(
    "run", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "a\n", "a\x00", "é", "x" * 101, "a%2fb"]
)
def test_an_id_that_could_lead_elsewhere_is_refused_everywhere(run: str, store: Store, profile: Profile) -> None:
    for call in (lambda: create_run(store, run, profile), lambda: load_run(store, run)):
        with pytest.raises(UsageError, match=re.escape(f"run id {run!r} must be")):
            call()
    assert list_runs(store) == []


@pytest.mark.parametrize("run", ["checkpoints", "release", "Lease", "LEDGER", "artifact", "logs", "quarantine"])
def test_no_run_is_called_like_a_folder_of_runs(run: str, store: Store, profile: Profile) -> None:
    with pytest.raises(UsageError, match=f"run id '{run}' is the name of a folder that every run has"):
        create_run(store, run, profile)
    assert list_runs(store) == []


@pytest.mark.parametrize("run", ["a", "my-checkpoints", "release-2", "A-1_b.c", "x" * 100, "a..b", "-"])
def test_an_id_of_plain_characters_is_taken(run: str, store: Store, profile: Profile) -> None:
    create_run(store, run, profile)
    assert list_runs(store) == [run]


def test_an_unknown_run_is_told_of_the_newest(store: Store, profile: Profile) -> None:
    with pytest.raises(UsageError, match="the bucket holds no run"):
        load_run(store, "a")
    for run in ("r1", "r2", "r3", "r4"):
        create_run(store, run, profile)
    with pytest.raises(UsageError, match=r"no run 'a' .*the newest here: r2, r3, r4"):
        load_run(store, "a")


def test_new_ids_are_fresh_and_valid(store: Store, profile: Profile) -> None:
    ids = {new_run_id(profile) for _ in range(5)}
    assert len(ids) == 5
    for run in ids:
        assert re.fullmatch(r"rehearsal-\d{8}-\d{6}-[0-9a-f]{4}", run)
        create_run(store, run, profile)


def test_a_bucket_that_would_replace_a_profile_is_for_rehearsals_alone(direct: RemoteStore, log: list[str]) -> None:
    first, second = (load_profile("rehearsal", {"seed": seed}) for seed in (0, 4242))
    with pytest.raises(ConfigError, match=r"ignores conditional writes .*CORTEX_BUCKET") as caught:
        create_run(direct, "r", first)
    assert caught.value.exit_code == 78
    assert not direct.exists("runs/r/profile.json")
    create_run(direct, "r", first, rehearsal=True)
    assert any("will do for a rehearsal" in line for line in log)
    for rehearsal in (False, True):
        with pytest.raises(ConfigError, match="was started under another profile"):
            create_run(direct, "r", second, rehearsal=rehearsal)
        assert load_run(direct, "r") == create_run(direct, "r", first, rehearsal=rehearsal) == first
