"""Kinds of damage to checkpoints: each has a name, and a function that does it to a folder.

All but the last leave file names and most sizes as a trainer writes them. None looks at the checkpoint's protection: a
manifest in the folder stays as it is, unless the manifest itself is the target.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.manifest import MANIFEST
from cortex.checkpoints.completeness import STATE
from cortex.errors import DataError

WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
OPTIMIZER = ("optimizer.pt",)
SCHEDULER = ("scheduler.pt",)
RANDOM = ("rng_state.pth",)
CONFIG = ("config.json", "adapter_config.json")

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Sound:
    """Intact checkpoints to take parts from."""

    older: Path
    """An older checkpoint of the same run."""
    foreign: Path
    """Another run's checkpoint of the same step."""


@dataclass(frozen=True)
class Damage:
    """One way to spoil a checkpoint's folder."""

    name: str
    apply: Callable[[Path, Sound], None]
    manifest: bool = False
    """True where it damages the manifest, which only the kit's checkpoints have."""


def catalogue(checkpoint: Path) -> list[Damage]:
    """Every damage, for checkpoints that have the files of this one."""
    return [
        *(_to(WEIGHTS, f"weights {how}", change) for how, change in _FILE_DAMAGE.items()),
        _to(OPTIMIZER, "optimizer missing", Path.unlink),
        _to(OPTIMIZER, "optimizer cut", cut),
        _to(OPTIMIZER, "optimizer half zeroes", zero_half),
        _to(SCHEDULER, "scheduler missing", Path.unlink),
        _to(RANDOM, "random state missing", Path.unlink),
        _to((STATE,), "trainer state missing", Path.unlink),
        _to((STATE,), "trainer state cut", cut),
        _to((STATE,), "trainer state of another step", _other_step),
        _to(CONFIG, "config missing", Path.unlink),
        Damage("empty folder", lambda folder, sound: _empty(folder)),
        Damage("torn save, weights alone", lambda folder, sound: _tear(folder)),
        *(_to((name,), f"a bit of {name}", flip) for name in _others(checkpoint)),
        Damage("weights of an older step", lambda folder, sound: _take(WEIGHTS, sound.older, folder)),
        Damage("optimizer of an older step", lambda folder, sound: _take(OPTIMIZER, sound.older, folder)),
        Damage("another run's checkpoint", lambda folder, sound: _replace(folder, sound.foreign)),
        Damage("manifest cut", lambda folder, sound: cut(folder / MANIFEST), manifest=True),
    ]


def file_of(folder: Path, names: tuple[str, ...]) -> Path:
    """The one of these files that a checkpoint has.

    Raises:
        DataError: it has none, so that it is no checkpoint of a trainer known here.
    """
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise DataError(f"{folder} has no {' or '.join(names)}: it is no checkpoint of a trainer that can be drilled")
    return found[0]


def cut(path: Path) -> None:
    """Keep only the first half, as after a full disk or a lost machine."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def zero_half(path: Path) -> None:
    """Zero the second half, as a file system does that had not written the blocks yet. The size stays."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def flip(path: Path) -> None:
    """Flip the second-highest bit of the byte in the middle. The size stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


_FILE_DAMAGE: dict[str, Change] = {
    "missing": Path.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "cut": cut,
    "half zeroes": zero_half,
    "a bit flipped": flip,
}


def _to(names: tuple[str, ...], name: str, change: Change) -> Damage:
    return Damage(name, lambda folder, sound: change(file_of(folder, names)))


def _others(checkpoint: Path) -> list[str]:
    """Files that no other damage changes within their size."""
    damaged = {*WEIGHTS, MANIFEST}
    return sorted(path.name for path in checkpoint.iterdir() if path.is_file() and path.name not in damaged)


def _other_step(path: Path) -> None:
    state = json.loads(path.read_text(encoding="utf-8"))
    state["global_step"] -= 1
    path.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _tear(folder: Path) -> None:
    kept = (*WEIGHTS, *CONFIG)
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


def _take(names: tuple[str, ...], source: Path, folder: Path) -> None:
    shutil.copyfile(file_of(source, names), file_of(folder, names))


def _replace(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
