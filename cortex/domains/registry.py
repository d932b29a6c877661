"""Registry of domains: their kinds, and the domain that a profile's section describes."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cortex.domains
from cortex.domains import FOLDERS
from cortex.domains.domain import Domain
from cortex.errors import ConfigError, describe_fault
from cortex.section import nearest


def known_domains() -> list[str]:
    """The kinds of domains that can be found, in the kit and in the folders of CORTEX_DOMAINS."""
    return sorted(found.name for found in pkgutil.iter_modules(cortex.domains.__path__) if found.ispkg)


def find_domain(kind: str) -> type[Domain]:
    """The class of a domain: `DOMAIN` of its package.

    Raises:
        ConfigError: no domain has this kind (the message names the nearest), or its code cannot be loaded.
    """
    if kind not in known_domains():
        missing = [folder for folder in FOLDERS if not Path(folder).is_dir()]
        where = f"; CORTEX_DOMAINS names {missing[0]}, which is no folder" if missing else ""
        raise ConfigError(f"no domain {kind!r}: {nearest(kind, known_domains())}{where}")
    try:
        found: object = importlib.import_module(f"cortex.domains.{kind}").DOMAIN
    except Exception as error:  # the code is its author's, and may raise anything
        raise ConfigError(f"domain {kind!r} cannot be loaded: {describe_fault(error)}") from error
    if not (isinstance(found, type) and issubclass(found, Domain)):
        raise ConfigError(f"domain {kind!r}: its DOMAIN is {found!r}, not a class of domains")
    if not hasattr(found, "scale"):
        raise ConfigError(f"domain {kind!r}: {found.__name__} has no `scale`, which names its loss and its baselines")
    return found


def outside_folder(domain: Domain) -> Path | None:
    """The folder of a domain that is not part of the kit, which images do not hold; None for one of the kit's own."""
    folder = Path(inspect.getfile(type(domain))).resolve().parent
    return None if folder.is_relative_to(Path(cortex.domains.__file__ or "").resolve().parent) else folder


def read_domain(values: Mapping[str, Any]) -> Domain:
    """The domain that a profile's section describes.

    Raises:
        ConfigError: its `kind` is missing or unknown, or its code cannot be loaded.
        ValidationError: a value is wrong.
    """
    if "kind" not in values:
        raise ConfigError(f"`kind` says which domain it is: {', '.join(known_domains())}")
    return find_domain(str(values["kind"])).model_validate(dict(values))
