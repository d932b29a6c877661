"""A profile of one's own: a shipped one, changed by a few wishes until every phase fits its GPUs and its budget."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cortex.errors import UsageError
from cortex.fleet.capacity.architecture import read_architecture
from cortex.fleet.capacity.capacity_plan import CapacityPlan, plan_capacity
from cortex.profiles.profile import Profile, put
from cortex.profiles.profile_file import PROFILES, draft_profile
from cortex.runs.stage_list import TRAINERS
from cortex.section import nearest
from cortex.settings import Settings

LARGE = 30e9
"""Parameters from which the recipe of the largest shipped profile is taken, instead of that for one GPU."""

CHANGES = 6
"""Keys that are changed, one after another, until all phases fit; then it is given up."""


@dataclass(frozen=True)
class Task:
    """One of the tasks that a new profile can begin with."""

    profile: str
    """The shipped profile whose `domain` and trainings it takes."""
    words: str
    takes_files: bool = False
    """True where the data can be the user's own price files."""


TASKS = {
    "markets": Task("cortex-8b", "crypto markets from on-chain data, by Flipside or public services", takes_files=True),
    "currencies": Task("currencies-8b", "currency pairs, of the ECB or of your own files", takes_files=True),
    "gym": Task("gym-8b", "maths and logic, with a verifier for each task"),
}
"""The tasks by name."""


@dataclass(frozen=True)
class Wishes:
    """The answers to what `cortex new` asks."""

    name: str
    task: str
    files: tuple[str, ...] = ()
    """Files or folders of prices; empty for the task's own source."""
    bars: str = "days"
    base: str = "meta-llama/Llama-3.1-8B-Instruct"
    """The base model: a hub's name, or a folder."""
    licence: str | None = None
    """The base's licence; None where it is the shipped profile's base."""
    accelerator: str = "H100"
    gpus: int = 1
    dollars: float = 40.0
    into: Path = PROFILES
    """The folder of the profile's file."""

    @property
    def path(self) -> Path:
        return self.into / f"{self.name}.yaml"


@dataclass(frozen=True)
class Drafted:
    """A new profile that is not written yet."""

    text: str
    """The file's text."""
    plan: CapacityPlan
    changes: Mapping[str, Any]
    """Keys that were changed to make every phase fit."""


def check_wishes(wishes: Wishes) -> None:
    """Check what needs no plan.

    Raises:
        UsageError: a wish is impossible; the message names it, and what is possible.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", wishes.name):
        raise UsageError(f"{wishes.name!r} is no name for a profile: lower-case letters, digits and -, at most 41")
    if wishes.task not in TASKS:
        raise UsageError(f"no task {wishes.task!r}: {nearest(wishes.task, TASKS)}")
    if wishes.files and not TASKS[wishes.task].takes_files:
        raise UsageError(f"the task {wishes.task} makes its examples itself, and takes no files: leave `--data` out")
    if wishes.dollars <= 0:
        raise UsageError(f"a budget of {wishes.dollars:g} dollars: give the most that a run may cost, above 0")
    if wishes.gpus < 1:
        raise UsageError(f"{wishes.gpus} GPUs: give 1 or more")
    if wishes.path.exists():
        raise UsageError(f"{wishes.path} is there: choose another name, or remove it")


def draft_new(wishes: Wishes, settings: Settings, on_start: Callable[[str], None] = lambda words: None) -> Drafted:
    """Make a profile of wishes, and change it until every phase fits, without writing it.

    Raises:
        UsageError: a wish is impossible.
        ConfigError, DataError: the profile is refused, its data are not there, or no change of a key makes it fit.
    """
    check_wishes(wishes)
    extended, values = _values(wishes)
    profile = _checked(extended, values)
    profile.domain.check(settings)
    changes: dict[str, Any] = {}
    plan = plan_capacity(profile, settings, tracing="never", on_start=on_start)
    while plan.misfits:
        fix = plan.misfits[0].changes
        if not fix or len(changes) >= CHANGES:
            plan.require_fit()
        for key, value in fix.items():
            put(values, key, value)
        changes |= fix
        plan = plan_capacity(_checked(extended, values), settings, tracing="never", on_start=on_start)
    values["estimates"] = _estimates(plan)
    plan = replace(plan, profile=_checked(extended, values))
    return Drafted(_text(wishes, extended, values, changes), plan, changes)


def _values(wishes: Wishes) -> tuple[str, dict[str, Any]]:
    """The name of the shipped profile to extend, and the keys that differ from it."""
    task = TASKS[wishes.task]
    extended, values = task.profile, dict[str, Any](name=wishes.name)
    shipped = draft_profile(task.profile).values
    if wishes.base != shipped["model"]["base"]:
        model = _checked(extended, {"model": {"base": wishes.base}}).model
        if read_architecture(model, os.environ)[1].parameters > LARGE:
            extended, values["domain"] = "cortex-70b", shipped["domain"]
    recipe = draft_profile(extended).values
    if wishes.base != recipe["model"]["base"]:
        if wishes.licence is None:
            raise UsageError(f"the licence of {wishes.base} is not known: name it by `--licence`, such as apache-2.0")
        values["model"] = {"base": wishes.base, "licence": wishes.licence}
    if wishes.files:
        source = {"kind": "files", "paths": list(wishes.files), "bars": wishes.bars}
        put(values, "domain.source", source)
        if wishes.bars != "days" and "horizon_bars" not in shipped["domain"]:
            values["domain"] |= {"horizon_days": None, "every_days": None, "horizon_bars": 5}
    values["hardware"] = {"gpus": wishes.gpus, "accelerator": wishes.accelerator}
    if recipe.get("grpo") and recipe["grpo"]["vllm"].get("tensor_parallel_size", 1) > 1:
        put(values, "grpo.vllm.tensor_parallel_size", wishes.gpus)
    values["budget"] = {"dollars": wishes.dollars}
    return extended, values


def _checked(extended: str, values: Mapping[str, Any]) -> Profile:
    draft = draft_profile(extended)
    draft.merge(values, "the new profile")
    return draft.checked()


def _estimates(plan: CapacityPlan) -> dict[str, float | None]:
    steps = {stage: round(seconds, 2) for stage, seconds in plan.step_seconds.items()}
    absent = dict.fromkeys(set(TRAINERS) - steps.keys())
    return {
        **absent,
        **steps,
        "other_hours": round(plan.other_seconds / 3600, 2),
        "restart_minutes": round(plan.restart_seconds / 60, 1),
        "save_seconds": round(plan.save_seconds, 1),
    }


_COMMENTS = {
    "model": "The base: on a hub, some need a licence to be accepted there, and HF_TOKEN.",
    "domain": "The task to learn, and its data: docs/domains.md and docs/data.md.",
    "grpo": "vLLM divides each copy of the model among so many GPUs.",
    "hardware": "The machine that trains. Names of GPUs are SkyPilot's: `sky show-gpus`.",
    "budget": "The cap on all that the run costs, in dollars. A run over it ends; a higher one resumes it.",
    "estimates": "Seconds of a step and the rest, as `cortex plan` computes them; none is measured.",
}


def _text(wishes: Wishes, extended: str, values: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """The file: a comment above each section, and the keys that differ from the profile that it extends."""
    words = TASKS[wishes.task].words
    lines = [
        "# yaml-language-server: $schema=../profile.schema.json",
        f"# {words[:1].upper()}{words[1:]}. It has not been run: times and memory are those of the plan.",
        f"# Keys that are not here are those of {extended}: `cortex profile show {wishes.name}` prints every value.",
        f"extends: {extended}",
    ]
    lines.append(yaml.safe_dump({"name": values["name"]}).rstrip())
    for key, value in values.items():
        if key == "name":
            continue
        written = yaml.safe_dump(
            {key: value}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
        ).rstrip()
        changed = [name for name in changes if name.split(".")[0] == key]
        comment = _COMMENTS.get(key, "Changed so that every phase fits the GPUs.")
        lines += ["", f"# {comment}"]
        if changed and key in _COMMENTS:
            lines.append(f"# Changed so that every phase fits the GPUs: {', '.join(changed)}.")
        lines.append(written)
    return "\n".join(lines) + "\n"


def write_new(drafted: Drafted, wishes: Wishes) -> Path:
    """Write the profile's file, whole or not at all, and only where there is none.

    Raises:
        UsageError: it is there by now, or cannot be written.
        ConfigError: the written file is refused.
    """
    path = wishes.path
    aside = path.with_name(f".{path.stem}-{os.getpid()}.yaml")
    try:
        aside.write_text(drafted.text, encoding="utf-8")
        draft_profile(str(aside)).checked()
        os.link(aside, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    return path
