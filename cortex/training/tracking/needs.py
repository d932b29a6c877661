"""What each tracker needs of a machine that trains: a package of the stage's image, and variables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

PLAIN_HTTP = "CORTEX_TEACHER_PLAIN_HTTP"
"""Says that keys may go over plain HTTP: without it, a tracker's login is sent over TLS, or stays on the machine."""

KEYS = ("WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN")
"""Variables whose values nobody is shown."""

SHORT = 6
"""Letters below which a password is left where it stands in a text: it would be found in half of all words."""

Environment = Mapping[str, str]


@dataclass(frozen=True)
class TrackerNeeds:
    """The needs of one kind of tracker."""

    package: str | None = None
    """The distribution that it is drawn with."""
    settings: tuple[str, ...] = ()
    """Variables that it reads where they are set."""
    secrets: tuple[str, ...] = ()
    """Further ones, whose values only the machine may see."""
    required: Callable[[Environment], str | None] = lambda environment: None
    """The variable without which it cannot draw there, if there is one."""
    fix: str = ""
    """How to give that."""


def _wandb_key(environment: Environment) -> str | None:
    return None if environment.get("WANDB_MODE") in ("offline", "disabled") else "WANDB_API_KEY"


def _space_token(environment: Environment) -> str | None:
    return "HF_TOKEN" if environment.get("TRACKIO_SPACE_ID") else None


NEEDS: Mapping[str, TrackerNeeds] = {
    "tensorboard": TrackerNeeds(),
    "mlflow": TrackerNeeds(
        settings=(PLAIN_HTTP,),
        # The address, too: people write passwords into it, which is refused, but must not be shown either.
        secrets=(
            "MLFLOW_TRACKING_URI",
            "MLFLOW_TRACKING_TOKEN",
            "MLFLOW_TRACKING_USERNAME",
            "MLFLOW_TRACKING_PASSWORD",
        ),
        required=lambda environment: "MLFLOW_TRACKING_URI",
        fix="export MLFLOW_TRACKING_URI=https://..., the server's address",
    ),
    "wandb": TrackerNeeds(
        package="wandb",
        settings=("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_BASE_URL", "WANDB_MODE", PLAIN_HTTP),
        secrets=("WANDB_API_KEY",),
        required=_wandb_key,
        fix="export WANDB_API_KEY=..., a key of https://wandb.ai/authorize or of your own server",
    ),
    "trackio": TrackerNeeds(
        package="trackio",
        settings=("TRACKIO_SPACE_ID",),
        required=_space_token,
        fix="export HF_TOKEN=hf_..., a token that may write to the Space of TRACKIO_SPACE_ID",
    ),
}
"""By the name that a profile gives a tracker."""


def missing_variable(tracker: str, environment: Environment) -> str | None:
    """The variable that a tracker lacks in an environment; None where it has what it needs."""
    name = NEEDS[tracker].required(environment)
    return name if name and not environment.get(name) else None


def tracker_settings(trackers: Iterable[str], environment: Environment) -> set[str]:
    """The variables of an environment that trackers read and anybody may see."""
    return {name for tracker in trackers for name in NEEDS[tracker].settings if environment.get(name)}


def tracker_secrets(trackers: Iterable[str], environment: Environment) -> set[str]:
    """The secrets that a machine is given for its trackers: those that are set, and those that must be."""
    needs = [NEEDS[tracker] for tracker in trackers]
    given = {name for need in needs for name in need.secrets if environment.get(name)}
    return given | {name for need in needs if (name := need.required(environment))}


def hide_keys(text: str, environment: Environment) -> str:
    """A text without trackers' keys: a server, or whoever answers in its place, may send back what it was sent."""
    for name in KEYS:
        value = environment.get(name, "")
        if len(value) >= SHORT:
            text = text.replace(value, f"${name}")
    return text
