"""The model hub's own client for a publication, and its refusals in one line each.

Files go by the hub's LFS protocol, which reports the SHA-256 of each. The newer Xet protocol would be taken wherever
the package `hf_xet` is installed; `HF_HUB_DISABLE_XET=0` allows it.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cortex.bases.base_hub import PUBLIC
from cortex.bases.hub import HubSilentError
from cortex.errors import ConfigError, CortexError, DataError, RefusedError
from cortex.urls import lays_keys_open

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

_BUSY = (408, 429)
"""Answers below 500 after which a retry may help."""


def connect(environment: Mapping[str, str]) -> "HfApi":
    """A client of HF_ENDPOINT's hub, or of the public one, with the rights of HF_TOKEN.

    Raises:
        ConfigError: HF_TOKEN is not set, could be read on its way, or HF_HUB_OFFLINE is set.
    """
    token = environment.get("HF_TOKEN")
    if not token:
        raise ConfigError("HF_TOKEN is not set: make a token with write access on the hub, and export HF_TOKEN=hf_...")
    if environment.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise ConfigError("HF_HUB_OFFLINE is set: unset it to publish")
    endpoint = (environment.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
    if lays_keys_open(endpoint):
        raise ConfigError(
            f"HF_ENDPOINT {endpoint} is plain HTTP on another machine, where HF_TOKEN could be read: use https"
        )
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # read once, when the client is imported
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint, token=token)


@contextmanager
def explaining_hub(what: str) -> Generator[None]:
    """Turn errors of the hub's client within the block into one line. `what` is the thing that is read or written.

    Raises:
        ConfigError: the hub does not accept HF_TOKEN.
        RefusedError: its account may not do that.
        DataError: the hub refuses what was sent.
        HubSilentError: the hub does not answer, or is in trouble; a retry may help.
    """
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except CortexError:
        raise
    except HfHubHTTPError as error:
        raise _explained(what, error) from error
    except HTTPError as error:
        raise HubSilentError(f"{what}: the hub cannot be reached ({type(error).__name__})") from error
    except RuntimeError as error:
        # The client wraps the error of one file among several.
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise _explained(what, cause) from error
        if isinstance(cause, HTTPError):
            raise HubSilentError(f"{what}: the hub cannot be reached ({type(cause).__name__})") from error
        raise DataError(f"{what}: {error}: {cause}") from error
    except (ValueError, KeyError, TypeError) as error:  # the client parses any answer as a hub's
        raise DataError(f"{what}: the hub answers with {type(error).__name__}: {error}"[:500]) from error


def _explained(what: str, error: "HfHubHTTPError") -> CortexError:
    status, said = error.response.status_code, error.server_message or ""
    if status == 401:
        return ConfigError(f"{what}: the hub does not accept HF_TOKEN: make a token with write access, and export it")
    if status == 403:
        return RefusedError(
            f"{what}: the hub answers 403{f' ({said})' if said else ''}: HF_TOKEN's account, or the token itself, may "
            "not write there; take a token with write access, or another owner"
        )
    if status >= 500 or status in _BUSY:
        return HubSilentError(f"{what}: the hub answers {status}: run the same command again, it continues")
    return DataError(f"{what}: the hub answers {status}{f': {said}' if said else ''}")
