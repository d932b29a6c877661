"""The receipt: proof that a verified copy of a run's release lies on this machine's disk."""

import secrets
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cortex.artifacts.folders import explaining_write_errors, sync, write_whole
from cortex.artifacts.manifest import Digest, Manifest
from cortex.artifacts.verify import verify
from cortex.errors import DataError, RefusedError
from cortex.limits import RECORD_BYTES, read_file


class Receipt(BaseModel):
    """A run's receipt, written after the last byte was verified and the copy was complete on this disk."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    manifest: Digest
    """The digest of the manifest that every byte was compared with."""
    path: Path
    """The copy's absolute path on this machine."""
    files: int
    size: int
    """The bytes of all files."""
    source: str
    """The place that the copy was fetched from."""
    via: Literal["bucket", "cluster"] = "bucket"
    verified: datetime
    code: str = ""
    """The version of the code that verified it."""

    def write(self, home: Path) -> Path:
        """Write the receipt durably, in one step, in place of the run's earlier one."""
        path = receipt_path(home, self.run)
        with explaining_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{secrets.token_hex(8)}")
            write_whole(aside, self.model_dump_json(indent=1).encode() + b"\n")
            aside.replace(path)
            sync(path.parent)
        return path

    @classmethod
    def read(cls, home: Path, run: str) -> "Receipt | None":
        """The receipt of a run; None where it has none.

        Raises:
            DataError: it cannot be read, or is another run's.
        """
        path = receipt_path(home, run)
        try:
            receipt = cls.model_validate_json(read_file(path, RECORD_BYTES))
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            raise DataError(f"{path} is not a receipt: download the run again") from error
        if receipt.run != run:
            raise DataError(f"{path} is the receipt of run {receipt.run}: download run {run} again")
        return receipt

    def check(self, published: Manifest) -> None:
        """Hash the copy again, and return if it is the published release.

        Raises:
            RefusedError: it is another release, or the copy is gone, damaged, or incomplete.
        """
        if self.manifest != published.digest:
            raise RefusedError(
                f"the copy in {self.path} is of another release ({self.manifest[:12]}) than the bucket's "
                f"({published.digest[:12]})"
            )
        try:
            own = Manifest.read(self.path)
            found = verify(self.path, published)
        except DataError as error:
            raise RefusedError(f"the copy in {self.path} cannot be checked: {error}") from error
        if own.digest != published.digest:
            raise RefusedError(f"the copy in {self.path} has another manifest ({own.digest[:12]}) than the bucket's")
        # Extra files that the user put into the folder do no harm.
        if found.differing or found.missing:
            raise RefusedError(f"the copy is damaged: {found}")


def receipt_path(home: Path, run: str) -> Path:
    """The path of a run's receipt, under the kit's home folder."""
    return home / "receipts" / f"{Path(run).name}.json"
