"""Settings from the environment: where things are kept, and how services are reached."""

import getpass
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cortex.errors import ConfigError
from cortex.paths import expand_path
from cortex.urls import check_http_url, read_bucket_url
from cortex.variables.client_settings import check_key, check_network, drop_empty

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds `cortex/`, `sky.yaml`, `images/` and `jobs/`."""

SECRET_CHARACTERS = 32
"""The shortest run secret: a shorter one could be guessed."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return str(os.getuid())


def _check_secret(secret: SecretStr) -> SecretStr:
    check_key(secret.get_secret_value())
    return secret


def _check_length(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SECRET_CHARACTERS:
        raise ValueError(f"has fewer than {SECRET_CHARACTERS} characters: copy it whole, or leave it out")
    return secret


def _check_folder(path: Path) -> Path:
    """Return a folder that exists, or that can be made: nothing on its path is a file."""
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if os.path.lexists(parent))
    if not there.is_dir():
        raise ValueError(f"{there} is no folder: name another one")
    return path


def _check_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file: name one that is there")
    return path


def _check_there(path: Path) -> Path:
    if not path.exists():
        raise ValueError("there is nothing: name a public key, or a folder of them")
    return path


def _check_word(text: str) -> str:
    unfit = re.search(r"[^!-~]", text)
    if unfit:
        raise ValueError(f"holds {unfit[0]!r}: write one word, without blanks or quotes")
    return text


def _check_registry(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?", text):
        raise ValueError("is no registry: write host/folder, in lower case and without https://")
    return text


def _split_list(value: object) -> object:
    """The items of a list that a variable holds as `a,b`."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _check_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((region for region in regions if regions.count(region) > 1), None)
    if twice:
        raise ValueError(f"names {twice} twice: name each region once, as in us-east-1,us-west-2")
    return regions


Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
UserPath = Annotated[Path, BeforeValidator(expand_path)]


class Settings(BaseSettings):
    """The kit's settings. Each is an environment variable named `CORTEX_<FIELD>`; an empty one counts as not set."""

    # SkyPilot passes a task's secret that nobody has set as an empty variable.
    model_config = SettingsConfigDict(env_prefix="CORTEX_", env_ignore_empty=True, frozen=True, extra="ignore")

    home: Annotated[UserPath, AfterValidator(_check_folder)] = CHECKOUT / ".cortex"
    """The folder of environments, working files, downloads and, by default, the bucket."""

    bucket: Annotated[str, AfterValidator(read_bucket_url)] | None = None
    """The place of runs: a folder, or `s3://bucket/prefix` (`gs://`, `az://` likewise). Default: `home`/bucket."""

    teacher_url: Annotated[str, AfterValidator(check_http_url)] | None = None
    """The teacher's OpenAI-compatible endpoint. It overrides the profile's; without either, the scripted teacher
    answers."""

    teacher_api_key: Secret = Field(default=SecretStr("none"))
    """The key sent to the teacher's endpoint."""

    teacher_plain_http: bool = False
    """Allow sending keys to a teacher, a sampler or a tracker on another machine over plain HTTP, in a network of your
    own."""

    sampler_api_key: Secret = Field(default=SecretStr("none"))
    """The key sent to the endpoint of a profile's `sampling` section."""

    bench_api_key: Secret = Field(default=SecretStr("none"))
    """The key sent to the endpoint of `cortex bench serve`, or to the model of `cortex benchmark`."""

    against_api_key: Secret = Field(default=SecretStr("none"))
    """The key sent to each endpoint of their `--against`."""

    judge_api_key: Secret = Field(default=SecretStr("none"))
    """The key sent to the judge of `cortex rubric`."""

    flipside_api_key: Secret | None = None
    """Flipside's key, for profiles whose data come from there."""

    dune_api_key: Secret | None = None
    """Dune's key, for profiles whose data come from there."""

    run_secret: Annotated[Secret, AfterValidator(_check_length)] | None = None
    """The secret of the run that this machine works for; without it, one is made from the key in `home`."""

    profile_digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """The hash of the profile that the run was launched with; a worker refuses any other."""

    run_policy: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:iam::\d{12}:policy/[\w+=,.@/-]+$")
    """The ARN of the policy that confines a run's machines to their run (`make infra-up` writes it to .env)."""

    network_regions: Annotated[
        tuple[Region, ...], NoDecode, BeforeValidator(_split_list), AfterValidator(_check_regions)
    ] = ()
    """The AWS regions of the stack's networks, as `us-east-1,us-west-2`, the server's first (`make infra-up` writes it
    to .env). Machines on AWS are taken in these regions alone, since no other has a network of that name."""

    server: str | None = Field(default=None, pattern=r"^i-[0-9a-f]{8,17}$")
    """The machine on AWS that SkyPilot's server runs on (`make infra-up` writes it to .env). It is reached through
    Session Manager, at the port of `api_server.endpoint` in `.sky.yaml`."""

    registry: Annotated[str, AfterValidator(_check_registry)] | None = None
    """The registry that images are pushed to and pulled from, as host/folder; each image lies below it by its name."""

    owner: str = Field(default_factory=_user)
    """The person responsible for rented machines, as their tag `cortex-owner`. Default: the user's name here."""

    preflight_seconds: float = Field(default=16.0, gt=0, le=3600)
    """Seconds that the checks before a launch may take together; raise it for a slow machine or a slow line."""

    trust: Literal["any", "signed"] = "any"
    """`signed` refuses a release that no trusted key signed."""

    trusted_keys: Annotated[UserPath, AfterValidator(_check_there)] | None = None
    """A public key, or a folder of them (`*.pub`), whose signatures count. Default: `home`/keys, the operator's own."""

    ssh_config: Annotated[UserPath, AfterValidator(_check_file)] | None = None
    """The OpenSSH configuration for connections to machines, in place of `~/.ssh/config`."""

    container_memory: str = Field(default="8g", pattern=r"^[1-9][0-9]*[bkmgBKMG]?$")
    """The memory limit of a rehearsal's container, as `docker run --memory` reads it."""

    base_image: Annotated[str, AfterValidator(_check_word)] | None = None
    """The base image of the rehearsal's images, in place of the Dockerfile's."""

    build_options: str = ""
    """Options for `docker build` of those images, such as `--network host`."""

    def __init__(self, **values: Any) -> None:
        """Read the settings, and check the variables that other libraries will read.

        Raises:
            ConfigError: a variable's value is invalid; the message names it.
        """
        drop_empty(os.environ)
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"CORTEX_{first['loc'][0]}".upper()
            message = first["msg"].removeprefix("Value error, ")
            # A key or a secret is never shown; messages about a bucket already contain it.
            shown = "" if name.endswith(("_KEY", "_SECRET")) or name == "CORTEX_BUCKET" else f"is {first['input']!r}: "
            raise ConfigError(f"{name} {shown}{message}".replace("CORTEX_BUCKET store", "CORTEX_BUCKET")) from None
        try:
            check_network(os.environ)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    @property
    def bucket_url(self) -> str:
        return self.bucket or str(self.home.absolute() / "bucket")

    @property
    def keys(self) -> Path:
        """The folder of the operator's own key pair."""
        return self.home.absolute() / "keys"

    @property
    def environments(self) -> Path:
        return self.home / "environments"

    @property
    def pulls(self) -> Path:
        """The folder of what live sources answered, kept by the hash of what they were asked."""
        return self.home / "pulls"

    @property
    def server_region(self) -> str | None:
        """The AWS region of SkyPilot's server: the first of the networks' regions."""
        return self.network_regions[0] if self.network_regions else None

    def work(self, run: str) -> Path:
        """A run's scratch folder on this machine."""
        return self.home / "work" / run
