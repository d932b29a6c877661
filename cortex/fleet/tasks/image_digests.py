"""The file by which machines start the images that were pushed: `images/digests.json`, which `make push` writes."""

import re
from pathlib import Path

from cortex.errors import ConfigError
from cortex.limits import read_json
from cortex.settings import CHECKOUT

DIGESTS = CHECKOUT / "images" / "digests.json"

REFERENCE = re.compile(r"\S+@sha256:[0-9a-f]{64}")


def read_digests(path: Path = DIGESTS) -> dict[str, str]:
    """The pushed images by name, each `<registry>/<repository>@sha256:...`; empty where nothing was pushed.

    Raises:
        ConfigError: the file cannot be read, or is not what `make push` writes.
    """
    try:
        found = read_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): remove it, and `make push`") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}): remove it, and `make push`") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is not a mapping of images to digests: remove it, and `make push`")
    for name, reference in found.items():
        if not isinstance(reference, str) or not REFERENCE.fullmatch(reference):
            raise ConfigError(
                f"{path}: {name} is {reference!r}, and not <repository>@sha256:<digest>: remove it, and `make push`"
            )
    return found
