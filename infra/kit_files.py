"""The files that point the kit to a stack: `.sky.yaml`, SkyPilot's project configuration, and `.env`."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from cortex.artifacts.folders import write_whole
from cortex.errors import ConfigError
from cortex.yaml_reader import read_yaml
from infra.outputs import (
    BUCKET_REMARK,
    GCP_SETTINGS,
    PROJECT_VARIABLE,
    REGISTRY_REMARK,
    SERVER_VARIABLE,
    GroundOutputs,
    environment,
    remarks,
    sky_config,
)

SKY_CONFIG = ".sky.yaml"
"""SkyPilot reads this file in its working folder; it overrides the user's own configuration."""

ENVIRONMENT = ".env"


def write(outputs: GroundOutputs, checkout: Path) -> list[Path]:
    """Point the kit to a stack. Keys in the files that are not the kit's stay.

    Raises:
        ConfigError: a file cannot be parsed.
    """
    sky, variables = checkout / SKY_CONFIG, checkout / ENVIRONMENT
    config = _read_yaml(sky)
    if outputs.server is None and _has(variables, SERVER_VARIABLE):
        # The stack had a server before: from now on SkyPilot runs on this machine again.
        config = _without(config, "api_server", ["endpoint"])
    if outputs.gcp is None and _has(variables, BUCKET_REMARK):
        # The stack had resources at Google before: the network that SkyPilot would look for is gone.
        config = _without(config, "gcp", GCP_SETTINGS)
    for section, values in sky_config(outputs).items():
        config[section] = {**(config.get(section) or {}), **values}
    settings = {**environment(outputs), **remarks(outputs)}
    sometimes = {SERVER_VARIABLE, BUCKET_REMARK, REGISTRY_REMARK}
    if _has(variables, BUCKET_REMARK):
        # Otherwise the user has set it, and uses Google without the kit's stack.
        sometimes.add(PROJECT_VARIABLE)
    lines = _other_lines(variables, {*settings, *sometimes})
    lines += [f"{name}={value}" for name, value in settings.items()]
    _replace(sky, yaml.safe_dump(config, sort_keys=False))
    _replace(variables, "\n".join(lines) + "\n")
    return [sky, variables]


def remove(outputs: GroundOutputs, checkout: Path) -> list[Path]:
    """Remove from the files what `write` put in for this stack."""
    sky, variables = checkout / SKY_CONFIG, checkout / ENVIRONMENT
    changed: list[Path] = []
    config = _read_yaml(sky)
    before = config
    for section, settings in sky_config(outputs).items():
        found = config.get(section) or {}
        config = _without(config, section, [key for key, value in settings.items() if found.get(key) == value])
    if config != before:
        _replace(sky, yaml.safe_dump(config, sort_keys=False) if config else "")
        changed.append(sky)
    ours = {f"{name}={value}" for name, value in {**environment(outputs), **remarks(outputs)}.items()}
    lines = variables.read_text(encoding="utf-8").splitlines() if variables.exists() else []
    if f"CORTEX_BUCKET={outputs.bucket_url}" in lines:
        kept_lines = [line for line in lines if line not in ours]
        _replace(variables, "".join(f"{line}\n" for line in kept_lines))
        changed.append(variables)
    return changed


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found = read_yaml(path)
    if not isinstance(found, dict | None):
        raise ConfigError(f"{path} holds no mapping: mend it or move it away")
    return found or {}


def _without(config: dict[str, Any], section: str, keys: Collection[str]) -> dict[str, Any]:
    """SkyPilot's configuration without some keys of a section, and without the section if it has no others."""
    if not keys or section not in config:
        return config
    kept = {key: value for key, value in (config[section] or {}).items() if key not in keys}
    return {name: kept if name == section else value for name, value in config.items() if name != section or kept}


def _has(path: Path, name: str) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return len(_other_lines(path, {name})) < len(lines)


def _other_lines(path: Path, ours: Collection[str]) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if line.partition("=")[0].removeprefix("export ").strip() not in ours]


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.part")
    write_whole(aside, text.encode())
    # The file may also hold the user's own keys, secrets among them.
    aside.chmod(path.stat().st_mode if path.exists() else 0o600)
    aside.replace(path)
