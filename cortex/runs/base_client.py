"""The program that asks the model hub for a base: its manifest, or its files. `base_model` starts it.

It is a program of its own because the hub's client reads `HF_HUB_OFFLINE` once, when it is imported: the stage that
loads the base is offline. And what hangs in the client's native code is ended with its process.
"""

import os
import sys
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cortex.artifacts.manifest import Manifest
from cortex.errors import CortexError
from cortex.limits import MANIFEST_BYTES, read_file
from cortex.runs.base_revision import read_revision
from cortex.runs.hub import HubSilentError, telling_refusals

SILENT = 75
"""The exit code where the hub did not answer: asked again, it may."""


class BaseRequest(BaseModel):
    """A question to the hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    revision: str | None
    """A commit; None for the one that the main branch is at."""
    manifest: str
    """Where the manifest is written; or, with `folder`, read."""
    folder: str | None = None
    """Where the files go; None asks for the manifest alone."""


def command(request: BaseRequest) -> Sequence[str]:
    """The program's command line."""
    return [sys.executable, "-m", "cortex.runs.base_client", request.model_dump_json()]


def download(base: str, pin: Manifest, folder: Path) -> None:
    """Bring the files of a pinned base from the hub into a folder. Their bytes are for the caller to verify.

    Raises:
        ConfigError, HubSilentError: as `telling_refusals`.
    """
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]

    revision = str(pin.meta["revision"])
    token = os.environ.get("HF_TOKEN")
    with telling_refusals(base, revision, token=bool(token)):
        snapshot_download(
            base,
            revision=revision,
            local_dir=folder,
            allow_patterns=[escape(entry.name) for entry in pin.files],
            endpoint=os.environ.get("HF_ENDPOINT") or None,
            token=token or False,
        )


def main() -> None:
    """Do what the first argument asks; an error is one line on stdout, and the exit code."""
    request = BaseRequest.model_validate_json(sys.argv[1])
    try:
        if request.folder is None:
            Path(request.manifest).write_bytes(read_revision(request.base, request.revision, os.environ).data)
        else:
            data = read_file(Path(request.manifest), MANIFEST_BYTES)
            download(request.base, Manifest.parse(data, request.manifest), Path(request.folder))
    except HubSilentError as error:
        _leave(error, SILENT)
    except CortexError as error:
        _leave(error, error.exit_code)


def _leave(error: CortexError, code: int) -> None:
    print(" ".join(str(error).split()), flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
