"""Requirements of each tracker on a machine that trains: a package in the stage's image, and variables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

PLAIN_HTTP = "CORTEX_TEACHER_PLAIN_HTTP"
"""Variable that allows keys over plain HTTP. Without it a tracker's login only goes over TLS or on loopback."""

KEYS = ("WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN")
"""Variables whose values are never shown."""

SHORT = 6
"""Minimum length of a password that is hidden in texts: a shorter one would occur inside ordinary words."""

Environment = Mapping[str, str]


@dataclass(frozen=True)
class TrackerNeeds:
    """The needs of one kind of tracker."""

    package: str | None = None
    """The Python distribution that it needs."""
    settings: tuple[str, ...] = ()
    """Variables that it reads where they are set."""
    secrets: tuple[str, ...] = ()
    """Further variables, whose values only the machine may see."""
    required: Callable[[Environment], str | None] = lambda environment: None
    """The variable without which it does not work in an environment; None where it needs none."""
    fix: str = ""
    """Advice on setting that variable."""


def _wandb_key(environment: Environment) -> str | None:
    return None if environment.get("WANDB_MODE") in ("offline", "disabled") else "WANDB_API_KEY"


def _space_token(environment: Environment) -> str | None:
    return "HF_TOKEN" if environment.get("TRACKIO_SPACE_ID") else None


NEEDS: Mapping[str, TrackerNeeds] = {
    "tensorboard": TrackerNeeds(),
    "mlflow": TrackerNeeds(
        settings=(PLAIN_HTTP,),
        # The address, too: people put passwords into it. That is refused, but the message must not show them either.
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
"""Requirements by the name that a profile gives a tracker."""


def missing_variable(tracker: str, environment: Environment) -> str | None:
    """The variable that a tracker lacks in an environment; None where nothing is missing."""
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
    """A text with trackers' keys removed: a server, or a proxy in its place, may echo the key that it was sent."""
    for name in KEYS:
        value = environment.get(name, "")
        if len(value) >= SHORT:
            text = text.replace(value, f"${name}")
    return text
