"""Registry of domains: their kinds, and the domain that a profile's section describes."""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cortex.domains
from cortex.domains import FOLDERS
from cortex.domains.domain import Domain
from cortex.section import nearest


def known_domains() -> list[str]:
    """The kinds of domains that can be found, in the kit and in the folders of CORTEX_DOMAINS."""
    return sorted(found.name for found in pkgutil.iter_modules(cortex.domains.__path__) if found.ispkg)


def find_domain(kind: str) -> type[Domain]:
    """The class of a domain: `DOMAIN` of its package.

    Raises:
        ValueError: no domain has this kind; the message names the nearest.
    """
    if kind not in known_domains():
        missing = [folder for folder in FOLDERS if not Path(folder).is_dir()]
        where = f"; CORTEX_DOMAINS names {missing[0]}, which is no folder" if missing else ""
        raise ValueError(f"no domain {kind!r}: {nearest(kind, known_domains())}{where}")
    return importlib.import_module(f"cortex.domains.{kind}").DOMAIN


def read_domain(values: Mapping[str, Any]) -> Domain:
    """The domain that a profile's section describes.

    Raises:
        ValueError: its `kind` is missing or unknown, or a value is wrong.
    """
    if "kind" not in values:
        raise ValueError(f"`kind` says which domain it is: {', '.join(known_domains())}")
    return find_domain(str(values["kind"])).model_validate(dict(values))
