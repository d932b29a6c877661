"""Import of modules that need a service's client, which only the data image holds."""

import importlib
from typing import Any

from cortex.errors import ConfigError


def import_client(module: str) -> Any:
    """A module of the kit's by its full name. Raises ConfigError where its client is not installed here."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed here: run the data stage in the data image, or `cortex data pull`"
        ) from error
