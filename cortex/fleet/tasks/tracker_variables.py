"""Variables that a profile's trackers read, added to a task that trains: keys as secrets, the rest as `envs`."""

from collections.abc import Mapping, Sequence
from typing import Any

from cortex.runs.pipeline import VARIABLES
from cortex.tracking.tracker_needs import tracker_secrets, tracker_settings


def with_trackers(
    task: Mapping[str, Any], trackers: Sequence[str], environment: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """A task's `envs` and `secrets` with these trackers' variables; variables that the file itself has stay unchanged.

    The added ones are empty: `envs` take their values from the environment when the task is filled in, secrets when it
    is submitted, so that the task's text never holds a secret.
    """
    envs, secrets = (dict[str, Any](task.get(key) or {}) for key in VARIABLES)
    named = {*envs, *secrets}
    settings = sorted(tracker_settings(trackers, environment) - named)
    keys = sorted(tracker_secrets(trackers, environment) - named)
    return {"envs": envs | dict.fromkeys(settings), "secrets": secrets | dict.fromkeys(keys, "")}
