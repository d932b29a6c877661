"""Checks of a base model in a folder of this machine, before anything is rented."""

import os
from pathlib import Path

from cortex.bases.base_rules import MORE_TEMPLATES, READ, BaseFiles, require_trainable
from cortex.errors import ConfigError
from cortex.limits import TooLargeError, read_file


def is_folder(base: str) -> bool:
    """Tell if a base's name is a folder of this machine, and not a model of the hub."""
    return base.startswith((".", "~")) or Path(base).is_absolute() or is_here(base)


def is_here(base: str) -> bool:
    """Tell if there is such a folder on this machine; False, too, for a name that no folder can have."""
    return os.path.isdir(os.path.expanduser(base))  # noqa: PTH111, PTH112  pathlib raises on a name that is too long


def check_base(base: str | None) -> None:
    """Refuse a folder that `sft` could not train from. A model of the hub, or None, is not checked here.

    Raises:
        ConfigError: the folder lacks something that `sft` needs; the message names it.
    """
    if base is None or not is_folder(base):
        return
    if not is_here(base):
        raise ConfigError(
            f"model.base {base}: there is no such folder: correct it in the profile, or put the model there"
        )
    require_trainable(read_base_files(base))


def read_base_files(base: str) -> BaseFiles:
    """A folder's files, as the rules for a base check them.

    Raises:
        ConfigError: they cannot be read, or one is larger than `READ` allows.
    """
    folder = Path(base).expanduser()
    try:
        there = [path for path in folder.iterdir() if path.is_file()]
        more = folder / MORE_TEMPLATES
        templates = [f"{MORE_TEMPLATES}{path.name}" for path in more.iterdir()] if more.is_dir() else []
        # A folder of the hub's cache holds links to its files.
        contents = {path.name: read_file(path.resolve(), READ[path.name]) for path in there if path.name in READ}
    except OSError as error:
        path = error.filename or folder
        raise ConfigError(f"{path} cannot be read: {error.strerror}: mend its rights, or copy it again") from error
    except TooLargeError as error:
        raise ConfigError(f"{error}: it is no such file of a model") from error
    return BaseFiles(base, frozenset([*(path.name for path in there), *templates]), contents)
