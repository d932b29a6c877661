"""SkyPilot in the bed: as it was released, with a home, an account and price lists of the bed's own."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from cortex.errors import ConfigError
from cortex.settings import CHECKOUT
from scripts.lock import blocks
from tests.testbed.catalog import ZONES, write_catalogs
from tests.testbed.cloud import ACCOUNT, BUCKET, ENDPOINT, KEY
from tests.testbed.network import SKYPILOT_PORT
from tests.testbed.place import Place

# Controllers run in the API server, as on a stack's: a machine of their own would double what a launch takes here.
CONFIG = """\
jobs:
  controller:
    consolidation_mode: true
serve:
  controller:
    consolidation_mode: true
"""


MEMORY = 6
"""GiB of memory that SkyPilot is told of. It starts as many controllers as fit in, and one run needs few."""


def wheels(place: Place) -> Path:
    """Folder of the packages that SkyPilot builds its own wheel with, to install it on machines."""
    return place.cache / "wheels"


def fetch_wheels(place: Place, log: Path) -> None:
    """Download these packages from the index, once: those of the test bed's lock, with its hashes.

    Raises:
        ConfigError: the index cannot be reached.
    """
    if wheels(place).exists():
        return
    words = ["-m", "pip", "--quiet", "download", "--no-deps", "--require-hashes", "--dest", str(wheels(place))]
    lock = (CHECKOUT / "images" / "testbed" / "requirements.lock").read_text()
    named = "".join(entry for name, entry in blocks(lock) if name in ("packaging", "setuptools", "wheel"))
    with TemporaryDirectory() as scratch, log.open("ab") as output:
        (wanted := Path(scratch, "requirements.lock")).write_text(named)
        words += ["--requirement", str(wanted)]
        done = subprocess.run([sys.executable, *words], stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise ConfigError(f"setuptools cannot be fetched from the package index: see {log}")


def built_wheel(place: Place, log: Path) -> Path:
    """SkyPilot's own wheel, in a folder named by its hash, as its server builds it for machines; made once.

    Raises:
        ConfigError: it cannot be built.
    """
    home = place.cache / f"skypilot-{version('skypilot')}"
    built = home / ".sky" / "wheels"
    if not any(built.glob("*/*.whl")):
        environment = os.environ | _without_index(place) | {"HOME": str(home)}
        home.mkdir(exist_ok=True)
        words = ["-c", "from sky.backends import wheel_utils; wheel_utils.build_sky_wheel()"]
        with log.open("ab") as output:
            done = subprocess.run(
                [sys.executable, *words], env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            raise ConfigError(f"SkyPilot's wheel cannot be built: see {log}")
    (wheel,) = built.glob("*/*.whl")
    return wheel


def variables(place: Place, tools: Path) -> dict[str, str]:
    """Environment of programs in the bed: its user, its account, its internet; nothing of the caller's clouds."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CORTEX_", "SKY"))}
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), str(tools)]
    return {
        **others,
        **ACCOUNT,
        "HOME": str(place.home),
        "PATH": os.pathsep.join(path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SSL_CERT_FILE": str(place.authority),
        "REQUESTS_CA_BUNDLE": str(place.authority),
        **_without_index(place),
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
        "SKYPILOT_POD_MEMORY_GB_LIMIT": str(MEMORY),
        "CORTEX_HOME": str(place.home / "cortex"),
        "CORTEX_BUCKET": f"s3://{BUCKET}",
    }


def _without_index(place: Place) -> dict[str, str]:
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels(place))}


def furnish(place: Place, images: Mapping[str, str], wheel: Path) -> None:
    """Write the files that SkyPilot reads from its user's home."""
    home = place.home
    # Copied without times: a wheel newer than SkyPilot's files is one that SkyPilot takes as built from them.
    shutil.copytree(wheel.parent, home / ".sky" / "wheels" / wheel.parent.name, copy_function=shutil.copyfile)
    files = {
        home / ".sky" / "config.yaml": CONFIG,
        home / ".aws" / "config": f"[default]\nregion = {next(iter(ZONES))}\nendpoint_url = {ENDPOINT}\n",
        home / ".aws" / "credentials": f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {KEY}\n",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    write_catalogs(home / ".sky" / "catalogs" / "v8", images)
    # SkyPilot's logs outlive the bed.
    server = home / ".sky" / "api_server" / "server.log"
    server.parent.mkdir()
    server.symlink_to(place.logs / "skypilot.log")
    (place.logs / "sky_logs").mkdir()
    (home / "sky_logs").symlink_to(place.logs / "sky_logs")


def start(environment: Mapping[str, str], log: Path) -> None:
    """Start the API server, wait until it answers, and have it look at the account."""
    with log.open("ab") as output:
        # `sky api start` gives the server a minute to come up, and on a busy machine gives up on one that takes longer.
        _sky(["api", "start"], environment, output, check=False)
        while not answers():
            time.sleep(0.5)
        _sky(["check", "aws"], environment, output, check=True)


def answers() -> bool:
    """True where the API server of the bed answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{SKYPILOT_PORT}/api/health", timeout=5):
            return True
    except OSError:
        return False


def _sky(words: list[str], environment: Mapping[str, str], output: IO[bytes], *, check: bool) -> None:
    command = [str(Path(sys.executable).with_name("sky")), *words]
    subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=check)
