"""Profile files: a profile may extend another, and be changed key by key on the command line.

Mappings are merged key by key. Any other value replaces the one before it, and so does a mapping of another `kind`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from cortex.domains.domain import Domain
from cortex.domains.mixture import MIXTURE, read_described
from cortex.errors import ConfigError, UsageError
from cortex.paths import expand
from cortex.profiles.profile import Profile, first_problem, problem_of
from cortex.section import UnknownKeyError, nearest
from cortex.settings import CHECKOUT
from cortex.yaml_reader import read_yaml, read_yaml_value

PROFILES = CHECKOUT / "jobs" / "profiles"

EXTENDS = "extends"
"""The key that names the profile which a file extends; it is no key of a profile itself."""

EXPECT = "expect"
"""The key that says which baselines the trained model is expected to beat. It is no key of a profile itself, since
nothing about a run's result depends on it, and it is not inherited."""

EXPECTATIONS = ("all", "reference", "none")
"""Its values: all baselines, the reference of the skill alone, or none. The first is the default."""

DOMAINS = "domains"
"""The key under which a file lists several domains in place of one; a profile has them as its `domain`."""

Key = tuple[str, ...]
"""The path of keys to a value."""


@dataclass
class Draft:
    """The values of a profile before validation, and the origin of each."""

    path: Path
    """The file that was asked for."""
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[Key, str] = field(default_factory=dict[Key, str])
    """The origin of each value that is not a mapping, or an empty one: a file, or an option of the command line."""

    def merge(self, layer: Mapping[str, Any], origin: str) -> None:
        """Merge a file's values over the values so far.

        Raises:
            ConfigError: the file gives both `domain` and `domains`.
        """
        layer = dict(layer)
        if DOMAINS in layer:
            if "domain" in layer:
                raise ConfigError(f"{origin}: gives both `domain` and `{DOMAINS}`: keep one of them")
            layer["domain"] = _as_domain(layer.pop(DOMAINS))
        self._merge(self.values, layer, (), origin)

    def put(self, dotted: str, value: Any, origin: str) -> None:
        """Set the value under a dotted key, replacing everything there."""
        if dotted == DOMAINS:
            dotted, value = "domain", _as_domain(value)
        *parents, last = key = tuple(dotted.split("."))
        values = self.values
        for depth, parent in enumerate(parents, 1):
            if not isinstance(values.get(parent), dict):
                self._forget(key[:depth])
                values[parent] = {}
            values = values[parent]
        self._set(values, key, last, value, origin)

    def origin(self, key: Key) -> str | None:
        """The origin of the value under a key, or of the mapping around it; None for a default."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.origins:
                return self.origins[key[:end]]
        return None

    def checked(self) -> Profile:
        """The validated profile.

        Raises:
            ConfigError: a value is wrong; the message names its origin.
        """
        try:
            return Profile.model_validate(self.values)
        except ValidationError as error:
            key, unknown = problem_of(error)
            wrong = (*key, unknown.key) if isinstance(unknown, UnknownKeyError) else key
            raise ConfigError(f"{self._describe_origin(wrong)}: {first_problem(error)}") from error

    def _describe_origin(self, wrong: Key) -> str:
        """The file that was asked for, and the origin of the wrong value; for a mapping, of its last value."""
        within = [origin for key, origin in self.origins.items() if key[: len(wrong)] == wrong]
        origin = self.origin(wrong) or (within[-1] if within else None)
        if origin is None or origin == display_path(self.path):
            return str(self.path)
        return f"{self.path}, {'with' if origin.startswith('-') else 'which extends'} {origin}"

    def _merge(self, values: dict[str, Any], layer: Mapping[str, Any], above: Key, origin: str) -> None:
        for name, value in layer.items():
            key = (*above, str(name))
            there, inner = _mapping(values.get(name)), _mapping(value)
            if there is not None and inner is not None and _same_kind(there, inner):
                self._merge(there, inner, key, origin)
            else:
                self._set(values, key, name, value, origin)

    def _set(self, values: dict[str, Any], key: Key, name: str, value: Any, origin: str) -> None:
        self._forget(key)
        if isinstance(value, dict) and value:
            values[name] = {}
            self.origins.pop(key, None)
            self._merge(values[name], cast(dict[str, Any], value), key, origin)
        else:
            values[name], self.origins[key] = value, origin

    def _forget(self, key: Key) -> None:
        self.origins = {other: origin for other, origin in self.origins.items() if other[: len(key)] != key}


def load_profile(
    name_or_path: str, overrides: Mapping[str, Any] | None = None, sets: Sequence[str] | None = None
) -> Profile:
    """Read a profile by its name in `jobs/profiles/` or by its path.

    `overrides` maps dotted keys to values; `sets` are `key=value` texts from the command line, which take precedence.

    Raises:
        ConfigError: there is no such profile, it is no YAML mapping, or a value in it is wrong.
        UsageError: an item of `sets` is no `key=value`.
    """
    return draft_profile(name_or_path, overrides, sets).checked()


def draft_profile(
    name_or_path: str, overrides: Mapping[str, Any] | None = None, sets: Sequence[str] | None = None
) -> Draft:
    """The values of a profile and their origins, read as by `load_profile`, but not validated yet."""
    try:
        path = _find_file(expand(name_or_path))
    except ValueError as error:
        raise ConfigError(f"profile {error}") from error
    draft = Draft(path)
    for file, layer in reversed(_layers(path, f"no profile {name_or_path!r}")):
        draft.merge(layer, display_path(file))
    for dotted, value in (overrides or {}).items():
        draft.put(dotted, value, display_path(path))
    for text in sets or ():
        draft.put(*_read_setting(text), f"--set {text}")
    return draft


def read_expectation(name_or_path: str) -> str:
    """One of `EXPECTATIONS`: the baselines that a profile's model is expected to beat, by its own file.

    Raises:
        ConfigError: there is no such file, or it expects something else.
    """
    path = _find_file(expand(name_or_path))
    try:
        raw = read_yaml(path, exponents=True)
    except FileNotFoundError as error:
        raise ConfigError(f"no profile {name_or_path!r}: {path} is not there") from error
    found = (_mapping(raw) or {}).get(EXPECT, EXPECTATIONS[0])
    if found not in EXPECTATIONS:
        raise ConfigError(f"{path}: {EXPECT} is one of {', '.join(EXPECTATIONS)} (given: {found!r})")
    return str(found)


def read_section(kind: str, values: Mapping[str, Any], sets: Sequence[str] | None = None) -> Domain:
    """The domain of a kind, as a profile's section with these values describes it; `sets` as in `load_profile`.

    Raises:
        ConfigError: there is no such domain, or a value is wrong.
        UsageError: one of `sets` is no `key=value`.
    """
    draft = Draft(Path("domain"), {**values, "kind": kind})
    for text in sets or ():
        draft.put(*_read_setting(text), f"--set {text}")
    try:
        return read_described(draft.values)
    except ValidationError as error:
        raise ConfigError(f"domain {kind}: {first_problem(error)}") from error


def display_path(path: Path) -> str:
    """A file's path for messages, relative to the checkout if it is inside."""
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


def _layers(path: Path, missing: str) -> list[tuple[Path, dict[str, Any]]]:
    """The file, the one that it extends, and so on, without the extended files' names, which are not inherited."""
    found: list[tuple[Path, dict[str, Any]]] = []
    while True:
        try:
            raw = read_yaml(path, exponents=True)
        except FileNotFoundError as error:
            known = sorted(profile.stem for profile in PROFILES.glob("*.yaml"))
            raise ConfigError(f"{missing}: {nearest(path.stem, known)}") from error
        if not isinstance(raw, dict):
            raise ConfigError(f"{path} is not a YAML mapping")
        layer = cast(dict[str, Any], raw)
        base = layer.pop(EXTENDS, None)
        layer.pop(EXPECT, None)
        if found:
            layer.pop("name", None)
        found.append((path, layer))
        if base is None:
            return found
        if not isinstance(base, str):
            raise ConfigError(
                f"{path}: {EXTENDS} names one profile, in jobs/profiles/ or by its path (given: {base!r})"
            )
        try:
            extended = _find_file(expand(base), path.parent)
        except ValueError as error:
            raise ConfigError(f"{path}: {EXTENDS} {error}") from error
        chain = [file for file, _ in found]
        if extended.resolve() in (file.resolve() for file in chain):
            way = " -> ".join(file.stem for file in (*chain, extended))
            raise ConfigError(f"{path}: {EXTENDS} {base!r} leads back to itself ({way}): remove one of these")
        path, missing = extended, f"{path} extends {base!r}, which is not there"


def _find_file(name_or_path: str, folder: Path = Path()) -> Path:
    """The file of a profile's name in `jobs/profiles/`, or of a path relative to `folder`."""
    if Path(name_or_path).suffix not in (".yaml", ".yml"):
        return PROFILES / f"{name_or_path}.yaml"
    return folder / name_or_path


def _read_setting(text: str) -> tuple[str, Any]:
    dotted, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", dotted):
        raise UsageError(f"--set {text!r} is no key=value: write it as grpo.learning_rate=1e-5")
    if not value.strip():
        raise UsageError(f"--set {text!r} has no value: write {dotted}=null for none")
    return dotted, read_yaml_value(value, f"--set {text}")


def _as_domain(domains: Any) -> dict[str, Any]:
    return {"kind": MIXTURE, DOMAINS: domains}


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _same_kind(there: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return value.get("kind", there.get("kind")) == there.get("kind")
