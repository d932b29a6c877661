"""Access to a cloud from this machine: its credentials, and a pool of SSH machines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.clouds.abilities import Target
from cortex.fleet.clouds.packages import install_command, missing_packages
from cortex.fleet.clouds.skypilot import uncoloured
from cortex.fleet.clouds.task_clouds import goes_to
from cortex.section import nearest


def refusal(cloud: str) -> tuple[str, str] | None:
    """The reason why SkyPilot cannot use a cloud from here, and the fix; None where it can."""
    from sky.clouds.cloud import CloudCapability
    from sky.utils.registry import CLOUD_REGISTRY

    kind: Any = CLOUD_REGISTRY.get(cloud)
    if kind is None:
        return "SkyPilot knows no such cloud", f"in the pipeline file: {nearest(cloud, list(CLOUD_REGISTRY))}"
    missing = missing_packages(cloud)
    if missing:
        return f"packages are missing here: {', '.join(missing)}", f"install them: {install_command(cloud)}"
    usable, reason = kind.check_credentials(CloudCapability.COMPUTE)
    if usable:
        return None
    text = " ".join(uncoloured(str(reason)).split())
    return text[:300] or "not accepted", f"`.venv/bin/sky check {cloud}` says what {cloud} lacks"


def files_taken_along(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Credential files of clouds that no task uses, but that SkyPilot copies to the machines all the same."""
    from sky.utils.registry import CLOUD_REGISTRY

    kept = clouds_with_identity_setting()
    files: list[str] = []
    for cloud, kind in CLOUD_REGISTRY.items():
        if cloud not in kept and not goes_to(documents, cloud) and not missing_packages(cloud):
            files += [path for path in kind.get_credential_file_mounts().values() if Path(path).expanduser().exists()]
    return sorted(files)


def clouds_with_identity_setting() -> set[str]:
    """The clouds whose credential files SkyPilot can be told not to copy (`remote_identity` in its configuration)."""
    from sky.utils.schemas import get_config_schema

    parts = get_config_schema()["properties"]
    return {cloud for cloud, part in parts.items() if "remote_identity" in part.get("properties", {})}


def require_pool(target: Target) -> None:
    """Check that the target's pool of SSH machines is configured and set up; other clouds need no pool.

    Raises:
        ConfigError: it is not; the message says what to do.
    """
    from sky.clouds import SSH
    from sky.ssh_node_pools import constants
    from sky.ssh_node_pools.core import get_all_pools

    if target.cloud != "ssh":
        return
    path = constants.DEFAULT_SSH_NODE_POOLS_PATH
    try:
        pools = get_all_pools()
    except RuntimeError as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(pools, dict) or not pools:
        raise ConfigError(
            f"{path} names no pool of machines: write `<pool>: {{hosts: [<host of ~/.ssh/config>]}}` into it, then "
            "`.venv/bin/sky ssh up` (docs/clouds.md)"
        )
    names = [str(name) for name in pools]
    if target.place and target.place not in names:
        raise ConfigError(f"no pool {target.place!r} in {path}: {nearest(target.place, names)}")
    wanted = [target.place] if target.place else names
    up = {context.removeprefix("ssh-") for context in SSH.existing_allowed_contexts(silent=True)}
    if not up & set(wanted):
        raise ConfigError(
            f"pool {' and '.join(wanted)} of {path} is not set up: `.venv/bin/sky ssh up --infra {wanted[0]}`"
        )
