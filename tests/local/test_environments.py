import sys
import threading
from pathlib import Path

import pytest

from cortex.errors import ConfigError, StageError
from cortex.local import environments
from cortex.local.environments import cpu_lock, environment, on_path
from cortex.settings import CHECKOUT, Settings
from tests.wheels import locked, make_sources, make_wheel


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(environments, "IMAGES", tmp_path / "images")
    return Settings(home=tmp_path / "home")


def image(tmp_path: Path, lock: str) -> None:
    folder = tmp_path / "images" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.cpu.lock").write_text(lock)


def test_an_environment_is_made_once_for_each_lock(tmp_path: Path, settings: Settings) -> None:
    image(tmp_path, "# nothing\n")
    made: list[Path] = []
    makers = [threading.Thread(target=lambda: made.append(environment("small", settings))) for _ in range(2)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    folder, same = made
    assert folder == same and (folder / "bin" / "python").exists()
    (folder / "mark").touch()
    assert (environment("small", settings) / "mark").exists()
    image(tmp_path, "# nothing else\n")
    assert environment("small", settings) != folder


def test_an_environment_made_through_a_link_outlives_it(tmp_path: Path, settings: Settings) -> None:
    image(tmp_path, "# nothing\n")
    (tmp_path / "kept").mkdir()
    settings.home.mkdir()
    settings.environments.symlink_to(tmp_path / "kept")
    folder = environment("small", settings)
    assert folder.parent == (tmp_path / "kept").resolve()
    assert str(folder) in (folder / "bin" / "activate").read_text()


@pytest.mark.parametrize("forbidden", [True, False])
def test_what_is_installed_is_compiled_where_imports_may_not_write(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, forbidden: bool
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", forbidden)
    image(tmp_path, locked(make_wheel(tmp_path, "tiny", "1.0", {"tiny.py": ""})))
    compiled = list(environment("small", settings).glob("lib/python*/site-packages/__pycache__/tiny.*.pyc"))
    assert bool(compiled) == forbidden


def test_a_pin_that_is_overridden_is_not_installed(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    demanding = make_wheel(tmp_path, "tiny", "1.0", {"tiny.py": ""}, requires=("nowhere==1.0",))
    image(tmp_path, locked(demanding))
    with pytest.raises(StageError, match="nowhere"):
        environment("small", settings)
    (tmp_path / "images" / "small" / "overrides.txt").write_text('nowhere; python_version < "3"\n')
    assert list(environment("small", settings).glob("lib/python*/site-packages/tiny.py"))


def test_a_half_made_environment_is_made_again(tmp_path: Path, settings: Settings) -> None:
    image(tmp_path, "# nothing\n")
    folder = environment("small", settings)
    (folder / "complete").unlink()
    (folder / "half").touch()
    assert environment("small", settings) == folder
    assert not (folder / "half").exists() and (folder / "complete").exists()


def test_a_lock_that_cannot_be_installed_is_told_in_one_line_and_tried_again(
    tmp_path: Path, settings: Settings
) -> None:
    image(tmp_path, f"{tmp_path}/nowhere-1.0-py3-none-any.whl\n")
    for _ in range(2):
        with pytest.raises(StageError, match=r"^uv pip failed: .*nowhere-1\.0") as raised:
            environment("small", settings)
        assert "\n" not in str(raised.value)
    assert not list(settings.environments.glob("*/complete"))


def test_a_file_that_is_not_the_locks_is_refused_and_so_is_one_to_build_it_with(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    wrong = "0" * 64
    image(tmp_path, locked(make_wheel(tmp_path, "tiny", "1.0", {"tiny.py": ""}), wrong))
    with pytest.raises(StageError, match=r"Hash mismatch for `tiny==1\.0`"):
        environment("small", settings)
    backend = make_wheel(tmp_path, "setuptools", "99.0", {"setuptools/__init__.py": ""})
    image(tmp_path, locked(make_sources(tmp_path, "raw", "1.0")) + locked(backend, wrong))
    with pytest.raises(StageError, match=r"Hash mismatch for `setuptools==99\.0`"):
        environment("small", settings)


def test_an_image_that_is_not_there_suggests_one_that_is() -> None:
    assert cpu_lock("sft").is_file()
    with pytest.raises(ConfigError, match="no image 'sftt': did you mean 'sft'"):
        cpu_lock("sftt")


def test_programs_of_an_environment_see_it_first_and_this_checkouts_code() -> None:
    variables = on_path(Path("/venv"))
    assert variables["PATH"].startswith("/venv/bin:")
    assert (variables["PYTHONPATH"], variables["PYTHONNOUSERSITE"]) == (str(CHECKOUT), "1")


def test_an_image_may_need_another_python(tmp_path: Path, settings: Settings) -> None:
    image(tmp_path, "# nothing\n")
    (tmp_path / "images" / "small" / "python").write_text("3.99\n")
    assert environments.find_python("small") is None
    with pytest.raises(ConfigError, match=r"images/small need Python 3\.99, which is not on this machine"):
        environment("small", settings)
    (tmp_path / "images" / "small" / "python").write_text("3.11\n")
    assert (environment("small", settings) / "bin" / "python").exists()
