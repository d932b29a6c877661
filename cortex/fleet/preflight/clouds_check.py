"""Check that SkyPilot can use one of the run's clouds."""

from cortex.fleet.clouds.access import refusal
from cortex.fleet.clouds.catalog import CLOUDS
from cortex.fleet.clouds.packages import install_command, missing_packages
from cortex.fleet.clouds.skypilot import has_remote_server, reaching_skypilot
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "clouds"


def check(ground: Ground) -> Finding:
    """Ask SkyPilot's server for its enabled clouds; where none runs, ask SkyPilot's library, without starting one."""
    wanted = ground.clouds()
    with reaching_skypilot("ask SkyPilot for its clouds"):
        enabled, where = _of_the_server() if _has_server() else (_of_this_machine(wanted or set(CLOUDS)), "here")
    usable = enabled & wanted if wanted else enabled
    if usable:
        return Finding(NAME, True, f"SkyPilot may use {', '.join(sorted(usable))}")
    named = f", and the run may go to {', '.join(sorted(wanted))} only" if wanted else ""
    have = f"enabled {where}: {', '.join(sorted(enabled)) or 'none'}"
    lacks = [f"{cloud}: {said[0]}; {said[1]}" for cloud in sorted(wanted) if (said := _lack_of_packages(cloud))]
    fix = "`sky check` says what each cloud lacks; without any cloud, `make rehearse` runs the pipeline on this machine"
    return Finding(NAME, False, f"SkyPilot has no cloud for this run ({have}{named})", "; ".join([*lacks, fix]))


def _has_server() -> bool:
    """True where another machine's server is configured, or one runs on this machine."""
    from sky.server import common

    return has_remote_server() or common.get_api_server_status().status != common.ApiServerStatus.UNHEALTHY


def _of_the_server() -> tuple[set[str], str]:
    from sky.client import sdk

    return {name.lower() for name in sdk.get(sdk.enabled_clouds())}, "on its server"


def _of_this_machine(names: set[str]) -> set[str]:
    return {name for name in names if refusal(name) is None}


def _lack_of_packages(cloud: str) -> tuple[str, str] | None:
    missing = missing_packages(cloud)
    where = "SkyPilot's server" if has_remote_server() else "this machine"
    return (f"{where} needs {', '.join(missing)}", f"here: {install_command(cloud)}") if missing else None
