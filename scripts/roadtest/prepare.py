"""Preparation of a road test: its files, its limits, its secret. Nothing is rented."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from cortex.artifacts.open_store import open_store
from cortex.errors import ConfigError, UsageError
from cortex.fleet.launch.launch_plan import Plan, make_plan
from cortex.fleet.launch.run_launch import require_bucket
from cortex.fleet.tasks.alternatives import HOMES
from cortex.fleet.tasks.run_tasks import resolve
from cortex.paths import expand
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.settings import Settings
from cortex.yaml_reader import read_yaml
from scripts.roadtest.pipeline import DIGEST, SECRET, write_pipelines
from scripts.roadtest.road import Road
from scripts.roadtest.verbs import Verbs

PROFILE = Path(__file__).with_name("profile.yaml")

MOST_DOLLARS = 5.0
MOST_HOURS = 12.0

WALL_DOLLARS = 0.0001
"""Cap of the second run: a few seconds of the cheapest machine, so it is spent before any machine has booted."""

_NAME = re.compile(r"roadtest-\d{8}-\d{6}-[0-9a-f]{4}")


def new_name() -> str:
    """A new id: the time in UTC, and four random hexadecimal digits."""
    return f"roadtest-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def require_name(text: str) -> str:
    """Check that this is a road test's id, because the run that it names is ended without a download.

    Raises:
        UsageError: it is not, so it might be a run that somebody needs.
    """
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is no road test: give the id that it printed, as roadtest-20260101-120000-1a2b")
    return text


def make_road(
    name: str, profile: str, pipeline: Path, regions: Sequence[str] = (), offline_seconds: float = 60.0
) -> Road:
    """Prepare a road test in its own working folder.

    Raises:
        ConfigError: the profile has no limits, or too high ones; or machines cannot reach the bucket.
    """
    settings, path = Settings(), _path(profile)
    require_bucket(settings.bucket_url)
    resolved = load_profile(str(path))
    require_limits(resolved, path)
    folder = settings.work(name).absolute()
    files = folder / "pipeline.yaml", folder / "wall.yaml"
    write_pipelines(pipeline, *files)
    secret = secrets.token_hex(16)
    return Road(
        run=name,
        wall=f"{name}-wall",
        profile=resolved,
        profile_path=path,
        wall_profile_path=_write_wall_profile(path, folder / "wall-profile.yaml"),
        pipeline=files[0],
        wall_pipeline=files[1],
        settings=settings,
        store=open_store(settings.bucket_url),
        # The verbs fill a task's empty variables from their environment.
        verbs=Verbs(folder / "said", {**os.environ, DIGEST: hashlib.sha256(secret.encode()).hexdigest()}),
        secret=secret,
        clouds=frozenset({HOMES[settings.bucket_url.partition("://")[0]][0]}),
        regions=tuple(regions),
        offline_seconds=offline_seconds,
    )


def plan_of(road: Road) -> Plan:
    """The plan of the main run: its machines and prices. Raises ConfigError where it cannot be made."""
    documents = resolve(road.profile, road.run, pipeline=road.pipeline, settings=road.settings)
    given = {**road.verbs.environment, SECRET: road.secret}
    return make_plan(road.run, documents, road.settings.bucket_url, given, where=road.pipeline, profile=road.profile)


def require_limits(profile: Profile, where: Path) -> None:
    """Check that the run ends by itself, for a few dollars, and trains long enough. Raises ConfigError where not."""
    if profile.grpo is None:
        raise ConfigError(f"{where}: no grpo section: a road test takes the machine away while GRPO trains")
    budget = profile.budget
    limits = {
        "budget.dollars": (budget.dollars, MOST_DOLLARS),
        "budget.max_duration": (budget.max_duration, MOST_HOURS),
        "budget.failed_dollars": (budget.failed_dollars or 0.0, MOST_DOLLARS),
    }
    for key, (value, most) in limits.items():
        if not 0 < value <= most:
            raise ConfigError(f"{where}: {key} is {value:g}: a road test wants a limit above 0, of {most:g} at most")


def _path(profile: str) -> Path:
    """The absolute path of a profile's file, which `load_profile` would find, for programs in other folders."""
    try:
        path = Path(expand(profile))
    except ValueError as error:
        raise ConfigError(f"profile {error}") from error
    return (path if path.suffix in (".yaml", ".yml") else PROFILES / f"{profile}.yaml").absolute()


def _write_wall_profile(source: Path, target: Path) -> Path:
    """Write the same profile with a cap that its first machine reaches before it has booted."""
    raw = read_yaml(source, exponents=True)
    raw["budget"] = {**raw["budget"], "dollars": WALL_DOLLARS}
    target.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return target
