"""The program that fetches a base's manifest, or its files, from the model hub. `base_request` starts it.

It is a separate program because the hub's client reads `HF_HUB_OFFLINE` once, when it is imported, and the stage that
loads the base is offline. A hang in the client's native code can also be ended by killing its process.
"""

import os
import sys
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cortex.artifacts.manifest import Manifest
from cortex.bases.base_revision import read_revision
from cortex.bases.hub import HubSilentError, explaining_refusals
from cortex.errors import CortexError
from cortex.limits import MANIFEST_BYTES, read_file

SILENT = 75
"""The exit code if the hub did not answer: a retry may help."""


class BaseRequest(BaseModel):
    """A request to the hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    revision: str | None
    """A commit; None for the main branch's newest."""
    manifest: str
    """The path that the manifest is written to; with `folder`, read from."""
    folder: str | None = None
    """The folder that the files are written to; None asks for the manifest alone."""


def command(request: BaseRequest) -> Sequence[str]:
    """The program's command line."""
    return [sys.executable, "-m", "cortex.bases.base_client", request.model_dump_json()]


def download(base: str, pin: Manifest, folder: Path) -> None:
    """Download the files of a pinned base from the hub into a folder. The caller verifies their bytes.

    Raises:
        ConfigError, HubSilentError: as `explaining_refusals`.
    """
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]

    revision = str(pin.meta["revision"])
    token = os.environ.get("HF_TOKEN")
    with explaining_refusals(base, revision, token=bool(token)):
        snapshot_download(
            base,
            revision=revision,
            local_dir=folder,
            allow_patterns=[escape(entry.name) for entry in pin.files],
            endpoint=os.environ.get("HF_ENDPOINT") or None,
            token=token or False,
        )


def main() -> None:
    """Carry out the request in the first argument; print an error as one line on stdout, and leave with its code."""
    request = BaseRequest.model_validate_json(sys.argv[1])
    try:
        if request.folder is None:
            Path(request.manifest).write_bytes(read_revision(request.base, request.revision, os.environ).data)
        else:
            data = read_file(Path(request.manifest), MANIFEST_BYTES)
            download(request.base, Manifest.parse(data, request.manifest), Path(request.folder))
    except HubSilentError as error:
        _print_and_exit(error, SILENT)
    except CortexError as error:
        _print_and_exit(error, error.exit_code)


def _print_and_exit(error: CortexError, code: int) -> None:
    print(" ".join(str(error).split()), flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
