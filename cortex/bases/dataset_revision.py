"""The commit of a hub's data set, by which a run reads it from then on."""

import os

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.bases.hub import HubSilentError
from cortex.errors import ConfigError, DataError

ASKING = Patience(deadline=300.0, first=2.0, longest=30.0)
"""Retries while the hub does not answer: the stage's machine is paid for meanwhile."""


def dataset_revision(name: str, revision: str | None, asking: Patience = ASKING) -> str:
    """The commit of a data set: `revision`, if the hub has it, or the newest.

    Raises:
        ConfigError: the hub has no such data set or commit, or does not show it to this account.
        DataError: the hub did not answer for as long as `asking` lasts.
    """
    try:
        return asking.persist(lambda: _ask(name, revision), HubSilentError, lambda error, count: True, _log_retry)
    except HubSilentError as error:
        raise DataError(
            f"data set {name} cannot be had from the hub, asked for {asking.deadline:.0f} s: {error}; run the same "
            "command again once it answers"
        ) from error


def _log_retry(error: Exception, wait: float) -> None:
    logger.warning(f"{error}; asking again in {wait:.0f} s")


def _ask(name: str, revision: str | None) -> str:
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=os.environ.get("HF_TOKEN") or False)
    try:
        found = api.dataset_info(name, revision=revision, timeout=30).sha
    except GatedRepoError as error:
        raise ConfigError(f"data set {name} is gated: accept its terms on the hub, and export HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise ConfigError(
            f"data set {name} has no revision {revision} on the hub: correct it, or leave it out"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ConfigError(f"the hub shows no data set {name}: correct its name, or export HF_TOKEN") from error
    except OfflineModeIsEnabled as error:
        raise HubSilentError("HF_HUB_OFFLINE is set: no hub was asked") from error
    except HfHubHTTPError as error:
        raise HubSilentError(f"the hub answers {error.response.status_code}") from error
    except (HTTPError, OSError) as error:
        raise HubSilentError(f"the hub cannot be reached from here ({type(error).__name__})") from error
    if not found:
        raise HubSilentError("the hub names no commit of it")
    return found
