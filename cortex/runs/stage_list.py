"""The list of stages, with each one's inputs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cortex.errors import UsageError
from cortex.profiles.profile import Profile
from cortex.section import nearest

LINE = ("pretrain", "sft", "dpo", "distill", "grpo")
"""The stages that train a run's model, in order: each starts from the model of the one before it that is wanted."""

TRAINERS = (*LINE, "reward_model")
"""The stages that train: they alone use all GPUs of a profile, and may run on several machines."""


@dataclass(frozen=True)
class Stage:
    """A step of a run. Its module `cortex.stages.<name>` has the function `run`, and is imported only to run it."""

    name: str
    purpose: str
    inputs: Callable[[Profile], tuple[str, ...]]
    """The stages whose artifacts it reads."""
    wanted: Callable[[Profile], bool] = lambda profile: True
    """Tells if a profile asks for this stage."""


def models(profile: Profile) -> tuple[str, ...]:
    """The training stages of a profile, in order. The last one's model is the run's."""
    return tuple(stage for stage in LINE if getattr(profile, stage) is not None)


def trainings(profile: Profile) -> tuple[str, ...]:
    """All training stages of a profile, in the order in which they run."""
    found = list(models(profile))
    if profile.reward_model is not None:
        found.insert(found.index("grpo") if "grpo" in found else len(found), "reward_model")
    return tuple(found)


def model_before(profile: Profile, stage: str) -> str | None:
    """The stage whose model a training stage starts from; None for the first, which starts from the base."""
    if stage == "reward_model":
        return "sft"  # it scores answers like those that it was trained on, which the SFT model sampled
    earlier = [name for name in models(profile) if LINE.index(name) < LINE.index(stage)]
    return earlier[-1] if earlier else None


def _inputs_of(profile: Profile, stage: str) -> tuple[str, ...]:
    """Inputs of a stage that trains an SFT model further. The first training's artifact holds the base that was built
    for it."""
    return tuple(dict.fromkeys(("data", "label", models(profile)[0], "sft", model_before(profile, stage) or "sft")))


def _pretrained(profile: Profile) -> tuple[str, ...]:
    return ("pretrain",) if profile.pretrain else ()


def scorer(profile: Profile) -> tuple[str, ...]:
    """The stage whose model rewards GRPO's answers; none where the domain does."""
    return ("reward_model",) if profile.grpo and profile.grpo.reward == "reward_model" else ()


def _before_export(profile: Profile) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("data", "label", models(profile)[0], models(profile)[-1])))


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("data", "market data to examples", lambda profile: ()),
        Stage("label", "the teacher's answers", lambda profile: ("data",)),
        Stage(
            "pretrain",
            "read streams of text",
            lambda profile: ("label",),
            lambda profile: profile.pretrain is not None,
        ),
        Stage("sft", "imitate the teacher", lambda profile: ("label", *_pretrained(profile))),
        Stage(
            "dpo",
            "prefer what scored",
            lambda profile: _inputs_of(profile, "dpo"),
            lambda profile: profile.dpo is not None,
        ),
        Stage(
            "distill",
            "imitate a larger model",
            lambda profile: _inputs_of(profile, "distill"),
            lambda profile: profile.distill is not None,
        ),
        Stage(
            "reward_model",
            "learn to score answers",
            lambda profile: _inputs_of(profile, "reward_model"),
            lambda profile: profile.reward_model is not None,
        ),
        Stage(
            "grpo",
            "learn from outcomes",
            lambda profile: (*_inputs_of(profile, "grpo"), *scorer(profile)),
            lambda profile: profile.grpo is not None,
        ),
        Stage("export", "merge and quantize", _before_export),
        Stage(
            "evaluate",
            "judge on the held-out period",
            lambda profile: ("data", *models(profile), *scorer(profile), "export"),
        ),
        Stage(
            "release", "what is taken home", lambda profile: ("data", "label", *models(profile), "export", "evaluate")
        ),
    )
}

LOADING = frozenset({*TRAINERS, "export", "evaluate"})
"""The stages that load the base."""

STREAMING = frozenset({"pretrain"})
"""The stages that may read data sets of the hub while they run."""


def up_to(stages: Iterable[str], last: str | None) -> list[str]:
    """Some stages without those that come after `last`; all of them where it is None.

    Raises:
        UsageError: there is no such stage.
    """
    if last is None:
        return list(stages)
    names = list(STAGES)
    end = names.index(find_stage(last).name)
    return [stage for stage in stages if names.index(stage) <= end]


def find_stage(name: str) -> Stage:
    """The stage of this name.

    Raises:
        UsageError: there is no such stage.
    """
    if name not in STAGES:
        raise UsageError(f"no stage {name!r}: {nearest(name, list(STAGES))}")
    return STAGES[name]
