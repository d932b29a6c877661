"""The plan of a search: its profile, the values to try, and the way to choose among them. Checked before anything."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from cortex.checkpoints.rules import ANSWER_LOSS, EVAL, TrainingRules
from cortex.errors import ConfigError
from cortex.profiles.profile import Profile, first_problem, with_overrides
from cortex.profiles.trainer_sections import Optimization
from cortex.runs.stage_list import models
from cortex.search.search_space import Space, corners, grid_size, is_grid
from cortex.section import Section

MOST_TRIALS = 1000
MOST_CORNERS = 4096
"""Combinations of choices and ends of ranges that are checked before a search of ranges begins."""

_MEASURED_ALIKE = ("optimizer", "sample_packing", "axolotl")
"""Keys of a trainer's own, besides those that all trainers share, that leave its loss what it is."""
_OWN_TEXTS = ("dpo",)
"""Stages that validate on answers which the model before them gave."""


class SearchFile(Section):
    """A search as a user writes it, in a YAML file or by options."""

    profile: str = "rehearsal"
    """The profile of every trial: a name in jobs/profiles/, or a path."""
    over: Space
    """By dotted key of the profile: a list of values, or a range `{low: 1e-5, high: 1e-3, log: true}`."""
    method: Literal["grid", "tpe", "random"] | None = None
    """`grid` tries every combination, `tpe` draws by Optuna's tree-structured Parzen estimator, `random` at random.
    None: a grid where all keys have lists, else tpe."""
    trials: int | None = Field(default=None, ge=1, le=MOST_TRIALS)
    """Trials of tpe and random; default 16. A grid tries all."""
    at_once: int = Field(default=1, ge=1, le=64)
    """Trials that run at the same time. The next ones are drawn when all of these have ended."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """The seed by which trials are drawn. Each trial trains with the profile's own seed."""
    stop_behind: int | None = Field(default=4, ge=1)
    """Stop a trial whose validated loss is above the median of so many finished trials, or more, at the same step.
    None: stop none."""
    dollars: float | None = Field(default=None, gt=0)
    """The most that all trials and the winner's judging may cost together, on rented machines."""

    @model_validator(mode="after")
    def _something_to_try(self) -> Self:
        if not self.over:
            raise ValueError("`over` names no key: give at least one with its values")
        if self.method == "grid" and not is_grid(self.over):
            raise ValueError("a grid has no ranges: give lists of values, or the method tpe or random")
        if self.trials and self._method == "grid":
            raise ValueError(f"a grid tries all of its {grid_size(self.over)} combinations: leave `trials` out")
        return self

    @property
    def _method(self) -> Literal["grid", "tpe", "random"]:
        return self.method or ("grid" if is_grid(self.over) else "tpe")

    def plan(self, profile: Profile, *, launch: bool) -> "SearchPlan":
        """The plan of this search over a resolved profile."""
        method = self._method
        return SearchPlan(
            profile=profile.model_dump(mode="json"),
            over=self.over,
            method=method,
            trials=grid_size(self.over) if method == "grid" else (self.trials or 16),
            at_once=self.at_once,
            seed=self.seed,
            stop_behind=self.stop_behind,
            launch=launch,
        )


class SearchPlan(Section):
    """Everything that decides a search's trials, as the bucket holds it. See `SearchFile`."""

    profile: dict[str, JsonValue]
    over: Space
    method: Literal["grid", "tpe", "random"]
    trials: int
    at_once: int
    seed: int
    stop_behind: int | None
    launch: bool
    """True where trials run on rented machines, and not on this one."""

    def base(self) -> Profile:
        """The profile that every trial changes."""
        return Profile.model_validate(self.profile)

    def trial_profile(self, parameters: Mapping[str, JsonValue], dollars: float) -> Profile:
        """The profile of a trial.

        Raises:
            ConfigError: the profile refuses these values.
        """
        changes: dict[str, Any] = {**parameters, "budget.dollars": dollars}
        try:
            return with_overrides(self.base(), changes)
        except ConfigError as error:
            words = ", ".join(f"{key}={value}" for key, value in parameters.items())
            raise ConfigError(f"with {words}, profile {error}") from error

    @property
    def stage(self) -> str:
        """The last training stage, whose validations are compared."""
        return models(self.base())[-1]


def metric_of(profile: Profile) -> str:
    """The validation metric of a profile's last training stage: the lower, the better."""
    section: Optimization = getattr(profile, models(profile)[-1])
    return TrainingRules.of(section, Path()).metric.removeprefix(EVAL)


def read_search(values: Mapping[str, Any], where: str) -> SearchFile:
    """A search from its values; `where` names their origin in the error.

    Raises:
        ConfigError: a value is wrong.
    """
    try:
        return SearchFile.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_problem(error)}") from error


def check_plan(plan: SearchPlan) -> None:
    """Check, before anything runs, that the trials can be trained and their validations compared.

    Raises:
        ConfigError: they cannot; the message says why.
    """
    if plan.trials > MOST_TRIALS:
        raise ConfigError(f"the grid has {plan.trials:,} combinations, and a search has {MOST_TRIALS:,} at most")
    stage, base = plan.stage, plan.base()
    for key in plan.over:
        reason = _reason_to_refuse(key, stage, graded=metric_of(base) == ANSWER_LOSS)
        if reason:
            raise ConfigError(f"a search over {key} compares nothing: {reason}")
    for parameters in _combinations(plan.over):
        profile = plan.trial_profile(parameters, base.budget.dollars)
        section: Optimization | None = getattr(profile, stage)
        if models(profile)[-1] != stage or section is None:
            raise ConfigError(f"a search over {', '.join(parameters)} changes which stages train: name other keys")
        if section.validate_steps is None:
            raise ConfigError(
                f"profile {profile.name} validates nothing in {stage}, so that no trial can be chosen: set "
                f"{stage}.validate_steps"
            )


def _reason_to_refuse(key: str, stage: str, *, graded: bool) -> str | None:
    """Reason why trials with other values of this key cannot be compared; None where they can.

    `graded`: the stage validates by the domain's grades of sampled answers, and not by its own loss of given texts.
    """
    section, _, name = key.partition(".")
    if section in ("domain", "domains"):
        return "each value asks other questions, or judges them otherwise"
    if section in ("name", "budget", "tracking", "estimates", "export", "evaluate", "sampling"):
        return "it changes nothing that a training's validation shows"
    if name == "validation_examples" or key == f"{stage}.validate_steps":
        return "each value validates on other examples, or at other steps"
    if graded or section in ("seed", "hardware") or key.startswith("model.adapter"):
        return None
    return _reason_of_loss(section, name.partition(".")[0], stage)


def _reason_of_loss(section: str, name: str, stage: str) -> str | None:
    """Reason why a key changes the loss by which a stage validates; None where it leaves that what it is."""
    if section == stage and name not in (*Optimization.model_fields, *_MEASURED_ALIKE):
        return f"it changes the loss by which {stage} validates, or its texts"
    if section in ("teacher", "model") or (section != stage and stage in _OWN_TEXTS):
        return f"{stage} validates by the loss of texts, and each value makes other texts or other tokens of them"
    return None


def _combinations(space: Space) -> Iterator[dict[str, JsonValue]]:
    """All combinations of choices and ends of ranges; of very many, each value beside the others' first ones."""
    values = corners(space)
    if grid_size(space) <= MOST_CORNERS:
        for each in itertools.product(*values.values()):
            yield dict(zip(values, each, strict=True))
        return
    first = {key: options[0] for key, options in values.items()}
    for key, options in values.items():
        yield from ({**first, key: option} for option in options)
