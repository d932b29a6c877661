"""The model hub through its own client (`huggingface_hub`): checks of models' names, and explanations of refusals."""

import errno
import re
from collections.abc import Generator
from contextlib import contextmanager

from cortex.errors import ConfigError, CortexError

_NAME = re.compile(r"(?!.*(\.\.|--))\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)

_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


class HubSilentError(CortexError):
    """The hub could not be asked about a model, which says nothing about the model."""


def check_name(base: str) -> str:
    """Return a model's name if the hub can have a model of that name.

    Raises:
        ConfigError: it cannot.
    """
    if not _NAME.fullmatch(base):
        raise ConfigError(f"model.base {base!r} is no model's name: write owner/model, or a folder that is there")
    return base


@contextmanager
def explaining_refusals(base: str, revision: str | None, *, token: bool) -> Generator[None]:
    """Turn errors of the hub's client within the block into one line with the fix. `token` says if HF_TOKEN is set.

    Raises:
        ConfigError: the hub refuses this name, this revision, or this token; or the disk cannot be written.
        HubSilentError: the hub did not answer, or the answer is not a hub's.
    """
    from httpx import HTTPError, InvalidURL
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    export = "export HF_TOKEN=hf_..., a token of an account that may read it"
    try:
        yield
    except CortexError:
        raise  # some of them are ValueErrors, too, and must not be caught below
    except GatedRepoError as error:
        asked = "HF_TOKEN's account has not been let in" if token else "HF_TOKEN is not set"
        fix = "accept its licence on the hub" + ("" if token else f", and {export}")
        raise ConfigError(f"model.base {base} is gated, and {asked}: {fix}") from error
    except RevisionNotFoundError as error:
        raise ConfigError(
            f"model.base {base} has no revision {revision or 'main'} on the hub: correct model.revision in the "
            "profile, or leave it out to take what the hub has now"
        ) from error
    except RepositoryNotFoundError as error:
        fix = "correct model.base in the profile" + ("" if token else f", or {export}")
        raise ConfigError(f"the hub shows no model {base} to {'HF_TOKEN' if token else 'the public'}: {fix}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401 and token:
            raise ConfigError(f"the hub does not accept HF_TOKEN (for model.base {base}): {export}") from error
        raise HubSilentError(f"the hub answers {status} for {base}") from error
    except OfflineModeIsEnabled as error:
        raise HubSilentError("HF_HUB_OFFLINE is set: no hub was asked") from error
    except (HTTPError, InvalidURL) as error:
        raise HubSilentError(f"the hub cannot be reached from here ({type(error).__name__})") from error
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise ConfigError(f"{error.filename or base} cannot be written: {error.strerror}: make room") from error
        raise HubSilentError(f"the hub does not give {base} ({type(error).__name__})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # the client parses any answer as a hub's
        raise HubSilentError(f"what answers for {base} is no hub ({type(error).__name__}: {error})"[:300]) from error
