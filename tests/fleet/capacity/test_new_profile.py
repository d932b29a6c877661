"""A profile of one's own from a few wishes."""

import datetime as dt
import errno
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.errors import ConfigError, UsageError
from cortex.fleet.capacity.capacity_plan import plan_capacity
from cortex.fleet.capacity.new_profile import TASKS, Wishes, draft_new, write_new
from cortex.profiles.profile_file import load_profile
from cortex.settings import CHECKOUT, Settings

LARGE = "meta-llama/Llama-3.3-70B-Instruct"


def made(wishes: Wishes) -> Path:
    return write_new(draft_new(wishes, Settings()), wishes)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_is_a_profile_that_fits_and_says_what_was_wished(task: str, tmp_path: Path) -> None:
    path = made(Wishes("mine", task, accelerator="A100-80GB", dollars=55.0, into=tmp_path))
    profile = load_profile(str(path))
    assert (profile.name, profile.hardware.accelerator, profile.budget.dollars) == ("mine", "A100-80GB", 55.0)
    plan = plan_capacity(profile, Settings(), tracing="never")
    assert plan.misfits == ()
    estimated = {stage: seconds for stage, seconds in profile.estimates if stage in plan.step_seconds}
    assert estimated == pytest.approx(dict(plan.step_seconds), rel=0.01)
    assert path.read_text(encoding="utf-8").count("\n# ") >= 4, "each section has a comment"


def test_a_large_base_takes_the_recipe_of_the_large_profile_with_the_task_s_own_data(tmp_path: Path) -> None:
    profile = load_profile(str(made(Wishes("large", "gym", base=LARGE, gpus=8, into=tmp_path))))
    assert profile.domain == load_profile("gym-8b").domain
    assert profile.model == load_profile("cortex-70b").model
    assert profile.grpo and profile.grpo.vllm and profile.grpo.vllm.tensor_parallel_size == 8


def test_what_does_not_fit_is_changed_and_said(tmp_path: Path) -> None:
    drafted = draft_new(Wishes("few", "markets", base=LARGE, gpus=4, into=tmp_path), Settings())
    assert drafted.changes["hardware.gpus"] == 8 == drafted.plan.profile.hardware.gpus
    assert "# Changed so that every phase fits the GPUs: hardware.gpus." in drafted.text


def test_own_files_become_the_source(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    began = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = [
        f"{began + dt.timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},EURUSD,{','.join([str(1 + hour % 7 / 100)] * 4)}"
        for hour in range(900)
    ]
    file.write_text("\n".join(["time,symbol,open,high,low,close", *rows, ""]), encoding="utf-8")
    wishes = Wishes("own", "currencies", files=(str(file),), bars="1h", into=tmp_path)
    source = load_profile(str(made(wishes))).model_dump(mode="json")["domain"]["source"]
    assert (source["kind"], source["paths"], source["bars"]) == ("files", [str(file)], "1h")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "chess"}, "no task 'chess'"),
        ({"task": "gym", "files": ("a.csv",)}, "takes no files"),
        ({"dollars": 0.0}, "budget of 0 dollars"),
        ({"gpus": 0}, "0 GPUs"),
        ({"name": "A b"}, "'A b' is no name"),
        ({"name": "there"}, "there.yaml is there"),
    ],
)
def test_an_impossible_wish_is_refused_and_nothing_is_written(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    (tmp_path / "there.yaml").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        draft_new(replace(Wishes("mine", "markets", into=tmp_path), **change), Settings())  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["there.yaml"]


def test_a_full_disk_or_another_who_was_faster_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = Wishes("mine", "gym", into=tmp_path)
    drafted = draft_new(wishes, Settings())
    write_text = Path.write_text

    def fill(path: Path, text: str, encoding: str) -> int:
        write_text(path, text[:10], encoding=encoding)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", fill)
        with pytest.raises(UsageError, match="cannot be written: No space left"):
            write_new(drafted, wishes)
    assert list(tmp_path.iterdir()) == []
    wishes.path.write_text("another's", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be written: File exists"):
        write_new(drafted, wishes)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["another's"]


def test_a_gpu_on_which_nothing_fits_and_one_that_is_not_known_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not fit on L4: .* take a GPU with more memory"):
        draft_new(Wishes("small", "markets", accelerator="L4", into=tmp_path), Settings())
    with pytest.raises(ConfigError, match="did you mean 'H200'"):
        draft_new(Wishes("odd", "markets", accelerator="H300", into=tmp_path), Settings())


def test_a_base_without_a_known_licence_is_refused(tmp_path: Path) -> None:
    wishes = Wishes("other", "markets", base=LARGE.replace("3.3-70B", "3.1-8B"), into=tmp_path)
    assert made(wishes).exists()
    shape = CHECKOUT / "jobs" / "shapes" / "meta-llama--Llama-3.1-8B-Instruct"
    with pytest.raises(UsageError, match="name it by `--licence`"):
        draft_new(replace(wishes, name="folder", base=str(shape)), Settings())


@pytest.mark.integration
def test_on_a_terminal_it_asks_and_says_what_to_do_next(tmp_path: Path) -> None:
    above, below = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "cortex", "new", "--into", str(tmp_path)],
        cwd=CHECKOUT,
        stdin=below,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "CORTEX_HOME": str(tmp_path / "home")},
    )
    os.write(above, b"gym\nasked\n\n\n\n35\n")
    said, _ = program.communicate(timeout=120)
    os.close(above)
    os.close(below)
    assert program.returncode == 0
    profile = load_profile(str(tmp_path / "asked.yaml"))
    assert profile.budget.dollars == 35 and profile.domain.kind == "gym"
    assert f"make train PROFILE={tmp_path / 'asked.yaml'}" in said and "every phase fits" in said
