"""The generators of reasoning-gym: found by name, checked, and asked for single questions.

The library takes seconds to import, so every function imports it when it is called.
"""

import dataclasses
import json
import sys
import warnings
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

from pydantic import JsonValue

from cortex.domains.gym.refused_tasks import NEEDS, NO_ANSWER, REFUSED
from cortex.domains.gym.task_config import Task
from cortex.errors import ConfigError, DataError, describe_fault
from cortex.section import nearest, unknown_key

SIZE = 1_000_000
"""Number of questions that a generator can be asked for, from one seed."""


class Address(NamedTuple):
    """The place of a question: the task and level of its generator, the generator's seed, and the question's number.

    Question i is drawn by `Random(seed + i)`, so that seeds less than `SIZE` apart share questions.
    """

    task: str
    level: int | None
    seed: int
    number: int

    def __str__(self) -> str:
        return f"{self.task}/{'-' if self.level is None else self.level}/{self.seed}/{self.number}"

    @classmethod
    def read(cls, text: str) -> "Address":
        """The address that an example's id is.

        Raises:
            DataError: the text is no address.
        """
        try:
            task, level, seed, number = text.split("/")
            return cls(task, None if level == "-" else int(level), int(seed), int(number))
        except ValueError as error:
            raise DataError(f"example id {text!r} is not TASK/LEVEL/SEED/NUMBER, as domain gym writes it") from error


def check_tasks(tasks: Mapping[str, Task], *, unanswered: bool) -> None:
    """Make every generator that a profile's tasks describe.

    Raises:
        ConfigError: a task is unknown or refused, has no such key, value or level, or has no answers and they are not
            `unanswered`.
    """
    for name, task in tasks.items():
        if name in NO_ANSWER and not unanswered:
            raise ConfigError(
                f"domain.tasks.{name} has no answer to imitate, which a script could give: leave it out, or set "
                "domain.unanswered: true for a teacher that solves it"
            )
        for level in {*task.levels_of("train"), *task.levels_of("test")}:
            generator(name, level, json.dumps(task.config, sort_keys=True), 0)


def entry_at(tasks: Mapping[str, Task], address: Address) -> tuple[Any, dict[str, Any]]:
    """The generator and the question at an address, with the question's answer and metadata.

    Raises:
        ConfigError: the profile has no such task, or it is wrong.
        DataError: the generator fails.
    """
    if address.task not in tasks:
        raise ConfigError(f"domain.tasks has no {address.task!r}, of which there is an example: add it")
    config = json.dumps(tasks[address.task].config, sort_keys=True)
    return generator(address.task, address.level, config, address.seed), _entry(address, config)


@lru_cache(maxsize=256)
def generator(name: str, level: int | None, config: str, seed: int) -> Any:
    """A task's generator, with the keys of `config` (JSON) in place of a level's own.

    Raises:
        ConfigError: the task is unknown or refused, or has no such key, value or level.
    """
    kinds, curricula = _library()
    if name in REFUSED:
        raise ConfigError(f"domain.tasks.{name}: {REFUSED[name]}; leave it out")
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        raise ConfigError(
            f"domain.tasks.{name} needs the package {NEEDS[name]}, which the kit leaves out: leave it out"
        )
    if name not in kinds:
        raise ConfigError(
            f"domain.tasks: no task {name!r} in reasoning-gym: {nearest(name, set(kinds) - set(REFUSED))}"
        )
    kind, shape = kinds[name]
    wanted: dict[str, JsonValue] = json.loads(config)
    known = [field.name for field in dataclasses.fields(shape) if field.name not in {"seed", "size"}]
    for key in wanted:
        if key not in known:
            raise ConfigError(f"domain.tasks.{name}.config: {unknown_key(key, known)}")
    keys = {**_level_keys(name, level, curricula), **wanted, "seed": seed, "size": SIZE}
    try:
        with warnings.catch_warnings(action="ignore"):
            return kind(config=shape(**keys))
    except Exception as error:  # each generator checks its keys in its own way
        given = f"config {config}" + ("" if level is None else f" at level {level}")
        raise ConfigError(f"domain.tasks.{name}: {given} is refused by its generator: {error}") from error


def _level_keys(name: str, level: int | None, curricula: Mapping[str, Any]) -> dict[str, Any]:
    if level is None:
        return {}
    if name not in curricula:
        raise ConfigError(f"domain.tasks.{name}: the task has no curriculum: remove `levels`, and use `config`")
    curriculum = curricula[name]()
    highest = max(len(attribute.levels) for attribute in curriculum.attributes.values()) - 1
    if level > highest:
        raise ConfigError(f"domain.tasks.{name}: no level {level}: its curriculum has levels 0 to {highest}")
    curriculum.set_global_level(level)
    made = curriculum.generate_configuration()
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}


@lru_cache(maxsize=8192)
def _entry(address: Address, config: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):
            return generator(address.task, address.level, config, address.seed)[address.number]
    except Exception as error:  # a generator may fail at some of its questions
        raise DataError(f"domain.tasks.{address.task}: question {address} fails: {describe_fault(error)}") from error


@lru_cache(maxsize=1)
def _library() -> tuple[dict[str, tuple[Any, Any]], dict[str, Any]]:
    """Generators with their configurations, and curricula, by the tasks' names."""
    absent = {package: _Absent(package) for package in NEEDS.values() if find_spec(package) is None}
    # The library imports all tasks at once, and would miss the packages of those that are refused. Afterwards nothing
    # else may find them: sympy uses pycosat where there is one.
    sys.modules.update(absent)
    try:
        with warnings.catch_warnings(action="ignore"):
            from reasoning_gym.factory import CURRICULA, DATASETS
    except ImportError as error:
        raise ConfigError(f"domain gym needs the package reasoning-gym: {error}; run `make setup`") from error
    finally:
        for package in absent:
            del sys.modules[package]
    return DATASETS, CURRICULA


class _Absent(ModuleType):
    """The place of a package that is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None
