"""SkyPilot's server: whether it was ever used from here, and its errors as ours."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.text import Text

from cortex.errors import ConfigError, CortexError
from cortex.fleet.tunnel import find_tunnel
from cortex.settings import Settings


@contextmanager
def answering(what: str) -> Generator[None]:
    """Turn SkyPilot's errors into ours, after opening the way to its server where that is in a stack's network; `what`
    completes "cannot".

    Raises:
        ConfigError: SkyPilot is not installed, or its server cannot be reached, does not answer, is of another version,
            or wants a login.
        CortexError: anything else that SkyPilot says.
    """
    try:
        from sky import exceptions
    except ImportError as error:
        raise ConfigError(f"cannot {what}: SkyPilot is not installed here ({error}): run `make setup`") from error
    try:
        tunnel = find_tunnel(Settings())
        if tunnel:
            tunnel.open()
    except ConfigError as error:
        raise ConfigError(f"cannot {what}: {error}") from error
    try:
        yield
    except exceptions.ApiServerConnectionError as error:
        fix = "start it, or name another with `sky api login`"
        raise ConfigError(f"cannot {what}: SkyPilot's server {_server()} does not answer: {fix}") from error
    except exceptions.APIVersionMismatchError as error:
        # SkyPilot's own words say how a server of this machine's is mended.
        fix = "; while no run is under way, `make infra-up RENEW=1` makes it anew with this version" if tunnel else ""
        raise ConfigError(
            f"cannot {what}: SkyPilot's server {_server()} is of another version: {_plain(error)}{fix}"
        ) from error
    except exceptions.ApiServerAuthenticationError as error:
        raise ConfigError(f"cannot {what}: {_plain(error)}") from error
    except Exception as error:
        # SkyPilot's errors have no base of their own, and what its server raised comes back as any class.
        fix = "once that is mended, the same command goes on"
        raise CortexError(f"cannot {what}: SkyPilot says: {_plain(error)}; {fix}") from error


def has_remote_server() -> bool:
    """Whether a SkyPilot server other than this machine's own is named."""
    from sky.server import common

    return not common.is_api_server_local()


def never_used() -> bool:
    """Whether no SkyPilot server was ever started here, and no other is named: then nothing was launched from here."""
    from sky.skylet import constants, runtime_utils

    return not has_remote_server() and not Path(runtime_utils.expanduser(constants.API_SERVER_LOGS)).parent.exists()


def require_server() -> None:
    """Check that SkyPilot's server answers, and start none: to look at a run begins nothing.

    Raises:
        ApiServerConnectionError, APIVersionMismatchError: it does not, or is of another version.
    """
    from sky.server import common

    common.check_server_healthy()


def managed_jobs(fields: Sequence[str], *, finished: bool) -> list[Any]:
    """The managed jobs of all users, a record a task; none where SkyPilot's controller is not, or has stopped."""
    import sky
    from sky import jobs

    try:
        found = sky.get(jobs.queue_v2(refresh=False, skip_finished=not finished, all_users=True, fields=fields))
    except sky.exceptions.ClusterNotUpError as error:
        return none_without_controller(error)
    return found[0]


def none_without_controller(error: Any) -> list[Any]:
    """Nothing is there where SkyPilot's controller is not, or has stopped, which it does once it is idle."""
    import sky

    if error.cluster_status in (None, sky.ClusterStatus.STOPPED):
        return []
    raise error


def uncoloured(text: str) -> str:
    """SkyPilot's words without their colours."""
    return Text.from_ansi(text).plain


def _server() -> str:
    from sky.server import common

    return common.redact_url_password(common.get_server_url())


def _plain(error: Exception) -> str:
    """SkyPilot's words without their colours; the class says more where there are none."""
    return uncoloured(str(error)).rstrip(". ") or type(error).__name__
