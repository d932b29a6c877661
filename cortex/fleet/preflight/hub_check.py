"""Check of the base model: it can be fetched (if gated, with an accepted licence and a token), and can be trained."""

from typing import Any

from cortex.artifacts.artifact import find
from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import StoreError
from cortex.bases.base_folder import check_base, is_folder, is_here
from cortex.bases.base_hub import HubSilentError, check_hub_base
from cortex.bases.base_pin import find_pin, mirror_prefix
from cortex.errors import ConfigError, RefusedError, VerificationError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.runs.run_secret import RunSecret

NAME = "model"

_FIX = "mend that, or name another model.base in the profile"
_SHARE = 0.6
"""Share of the checks' time limit for reading the hub's files; the requests before that take the rest."""


def check(ground: Ground) -> Finding:
    """Check the base where it is: in a folder of this machine, in the run's bucket, or on the hub."""
    base = ground.profile.model.base
    if base is None:
        return Finding(NAME, None, "the base is built from nothing: no hub is asked")
    if is_folder(base):
        return _in_folder(base)
    return _in_bucket(base, ground) or _on_hub(base, ground)


def _in_folder(base: str) -> Finding:
    if not is_here(base):
        where = "it could not be looked at, and must be on the images of the machines that load it"
        return Finding(NAME, None, f"the base {base} is a folder that is not on this machine: {where}")
    try:
        check_base(base)
    except ConfigError as error:
        return Finding(NAME, False, str(error), _FIX)
    return Finding(NAME, None, f"the base {base} is a folder with what `sft` needs: it must be on the machines' image")


def _in_bucket(base: str, ground: Ground) -> Finding | None:
    """The finding for a run whose pinned base is in its bucket: its machines do not use the hub, and need no token.

    None where the bucket has no such copy, or cannot be asked, which the bucket's own check reports.
    """
    if ground.run is None:
        return None
    try:
        store = open_store(ground.settings.bucket_url, Patience(deadline=3.0, longest=1.0))
        pin = find_pin(store, RunSecret.of(ground.run, ground.settings))
        prefix = mirror_prefix(pin) if pin else None
        there = find(store, prefix) if prefix else None
    except (StoreError, VerificationError, RefusedError):
        return None
    if pin is None or there is None or there.digest != pin.digest:
        return None
    detail = f"the bucket has {base} at the run's revision {str(pin.meta['revision'])[:12]}: no hub is asked"
    return Finding(NAME, True, detail)


def _on_hub(base: str, ground: Ground) -> Finding:
    """Ask the model hub with HF_TOKEN, as the machines do; they do not get a login that is stored on this disk.

    A hub that does not answer is no failure, since the machines fetch from it, not this one.
    """
    from httpx import HTTPError, InvalidURL
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    token = ground.environment.get("HF_TOKEN") or None
    hub = HfApi(endpoint=ground.environment.get("HF_ENDPOINT"), token=token or False)
    who = None
    try:
        who = str(hub.whoami()["name"]) if token else None
        hub.auth_check(base)
    except HfHubHTTPError as error:
        return _refusal(hub, base, who, bool(token), error)
    except (HTTPError, InvalidURL, OfflineModeIsEnabled, OSError) as error:
        detail = (
            f"{hub.endpoint} cannot be reached from here ({type(error).__name__}): access to {base} was not checked"
        )
        return Finding(NAME, None, detail)
    opened = f"{base} can be fetched by {who or 'anybody'}"
    try:
        seconds, revision = _SHARE * ground.settings.preflight_seconds, ground.profile.model.revision
        commit = check_hub_base(base, ground.environment, seconds, revision)
    except ConfigError as error:
        return Finding(NAME, False, str(error), _FIX)
    except HubSilentError as error:
        fix = "give it more time with CORTEX_PREFLIGHT_SECONDS, or see yourself that it has a chat template"
        return Finding(NAME, True, f"{opened}, but its files were not looked at: {error}", fix)
    at = "the profile's revision" if revision else "the main branch's revision, now"
    return Finding(NAME, True, f"{opened}, and has what `sft` needs at {at} {commit[:12]}")


def _refusal(hub: Any, base: str, who: str | None, given: bool, error: Any) -> Finding:
    """The finding for an error of the hub, given the user's name, or None where there is no accepted token."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    status = error.response.status_code
    token = f"a token of {hub.endpoint}/settings/tokens: export HF_TOKEN=hf_..."
    if given and who is None and status in (401, 403):
        return Finding(NAME, False, "the hub does not accept HF_TOKEN", f"give {token}")
    if isinstance(error, GatedRepoError):
        asked = f"{who} has not been let in" if who else "HF_TOKEN is not set"
        fix = f"accept the licence at {hub.endpoint}/{base}" + ("" if who else f", and give {token}")
        return Finding(NAME, False, f"{base} is gated, and {asked}", fix)
    if isinstance(error, RepositoryNotFoundError):
        fix = "correct model.base in the profile" + ("" if who else f", or give {token}")
        return Finding(NAME, False, f"the hub shows no model {base} to {who or 'the public'}", fix)
    return Finding(NAME, None, f"{hub.endpoint} answers {status}: access to {base} was not checked")
