"""What comes from the environment: where things live, and how services are reached."""

import getpass
import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cortex.errors import ConfigError

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds `cortex/`, `sky.yaml`, `images/` and `jobs/`."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return str(os.getuid())


class Settings(BaseSettings):
    """Every setting can be given as an environment variable named `CORTEX_<FIELD>`; an empty one is not given."""

    # A task's secret that nobody has set comes as an empty variable.
    model_config = SettingsConfigDict(env_prefix="CORTEX_", env_ignore_empty=True, frozen=True, extra="ignore")

    home: Path = CHECKOUT / ".cortex"
    """Where environments, working files, downloads and, by default, the bucket live."""

    bucket: str | None = None
    """Where runs are kept: a folder, or `s3://bucket/prefix` (`gs://`, `az://` likewise). Default: `home`/bucket."""

    teacher_url: str | None = None
    """An OpenAI-compatible endpoint. It overrides the profile's; without either, the scripted teacher serves."""

    teacher_api_key: SecretStr = Field(default=SecretStr("none"))
    """The key sent to the teacher's endpoint."""

    flipside_api_key: SecretStr | None = None
    """Flipside's key, where a profile's data come from there."""

    registry: str | None = None
    """Where images are pushed to and pulled from, as host/folder: each lies below it under its name."""

    owner: str = Field(default_factory=_user)
    """Who answers for what is rented: the tag `cortex-owner` on every machine. Default: the user's name here."""

    preflight_seconds: float = Field(default=16.0, gt=0, le=3600)
    """How long the checks before a launch may take together; more for a slow machine or a slow line."""

    ssh_config: Path | None = None
    """OpenSSH's configuration, in place of `~/.ssh/config`, for what goes to a live instance."""

    container_memory: str = Field(default="8g", pattern=r"^[1-9][0-9]*[bkmgBKMG]?$")
    """The most that a container of the rehearsal may take, as `docker run --memory` reads it."""

    base_image: str | None = None
    """What the rehearsal's images are built on, in place of the Dockerfile's base."""

    build_options: str = ""
    """Words for `docker build` of those images, such as `--network host`."""

    def __init__(self, **values: Any) -> None:
        """Read them.

        Raises:
            ConfigError: a variable cannot be what is set; it is named.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"CORTEX_{first['loc'][0]}".upper()
            raise ConfigError(f"{name} is {first['input']!r}: {first['msg']}") from None

    @property
    def bucket_url(self) -> str:
        return self.bucket or str(self.home.absolute() / "bucket")

    @property
    def environments(self) -> Path:
        return self.home / "environments"

    def work(self, run: str) -> Path:
        """A run's scratch folder on this machine."""
        return self.home / "work" / run
