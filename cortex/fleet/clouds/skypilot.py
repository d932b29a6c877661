"""Connection to SkyPilot's server, its managed jobs, and its errors turned into ours."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.text import Text

from cortex.errors import ConfigError, CortexError
from cortex.fleet.clouds.tunnel import find_tunnel
from cortex.settings import Settings


@contextmanager
def reaching_skypilot(what: str) -> Generator[None]:
    """Open the tunnel to SkyPilot's server where a stack has one, and turn SkyPilot's errors in the context into ours.

    `what` completes the message "cannot ...".

    Raises:
        ConfigError: SkyPilot is not installed, or its server cannot be reached, does not answer, has another version,
            or asks for a login.
        CortexError: any other error of SkyPilot.
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
        # SkyPilot's message says how to mend a server on this machine.
        fix = "; while no run is under way, `make infra-up RENEW=1` makes it anew with this version" if tunnel else ""
        raise ConfigError(
            f"cannot {what}: SkyPilot's server {_server()} is of another version: {_plain(error)}{fix}"
        ) from error
    except exceptions.ApiServerAuthenticationError as error:
        raise ConfigError(f"cannot {what}: {_plain(error)}") from error
    except Exception as error:
        # SkyPilot's errors have no common base class, and errors of its server come back as any class.
        fix = "once that is mended, the same command goes on"
        raise CortexError(f"cannot {what}: SkyPilot says: {_plain(error)}; {fix}") from error


def has_remote_server() -> bool:
    """True where SkyPilot is configured to use a server other than this machine's own."""
    from sky.server import common

    return not common.is_api_server_local()


def never_used() -> bool:
    """True where no SkyPilot server was ever started here, and no other is configured: so nothing was launched."""
    from sky.skylet import constants, runtime_utils

    return not has_remote_server() and not Path(runtime_utils.expanduser(constants.API_SERVER_LOGS)).parent.exists()


def require_server() -> None:
    """Check that SkyPilot's server answers, without starting one, for commands that only look at a run.

    Raises:
        ApiServerConnectionError, APIVersionMismatchError: it does not, or it has another version.
    """
    from sky.server import common

    common.check_server_healthy()


def managed_jobs(fields: Sequence[str], *, finished: bool) -> list[Any]:
    """The managed jobs of all users, one record a task; none where SkyPilot's controller does not run."""
    import sky
    from sky import jobs

    try:
        found = sky.get(jobs.queue_v2(refresh=False, skip_finished=not finished, all_users=True, fields=fields))
    except sky.exceptions.ClusterNotUpError as error:
        return none_without_controller(error)
    return found[0]


def none_without_controller(error: Any) -> list[Any]:
    """An empty list where SkyPilot's controller does not exist, or has stopped, as it does when idle; else raise."""
    import sky

    if error.cluster_status in (None, sky.ClusterStatus.STOPPED):
        return []
    raise error


def uncoloured(text: str) -> str:
    """SkyPilot's text without terminal colours."""
    return Text.from_ansi(text).plain


def _server() -> str:
    from sky.server import common

    return common.redact_url_password(common.get_server_url())


def _plain(error: Exception) -> str:
    """SkyPilot's message without terminal colours; the error's class where the message is empty."""
    return uncoloured(str(error)).rstrip(". ") or type(error).__name__
