"""Check of a pickle's imports without running it: `torch.distributed.checkpoint` stores its metadata as a pickle."""

import pickle
from pathlib import Path
from typing import Any

from cortex.errors import VerificationError

_METADATA = {
    "BytesStorageMetadata",
    "ChunkStorageMetadata",
    "Metadata",
    "MetadataIndex",
    "StorageMeta",
    "TensorProperties",
    "TensorStorageMetadata",
    "_MEM_FORMAT_ENCODING",
}
_DTYPES = {
    *(f"{kind}{bits}" for kind, sizes in {"int": "8 16 32 64", "uint": "8 16 32 64", "float": "16 32 64"}.items()
      for bits in sizes.split()),
    *("bfloat16", "bool", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"),
}  # fmt: skip
_ALLOWED = {
    "torch.distributed.checkpoint.metadata": _METADATA,
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", *_DTYPES},
    "pathlib": {"Path", "PosixPath", "PurePosixPath"},
    "collections": {"OrderedDict"},
}
"""All classes that such metadata names, besides plain values (torch 2.13)."""


class _Inert:
    """Placeholder for any class that a pickle names: it can be created and filled, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if name not in _ALLOWED.get(module, ()):
            raise VerificationError(f"it would import {f'{module}.{name}'[:80]!a}, which no checkpoint needs")
        return _Inert


def check_metadata(path: Path) -> None:
    """Read the metadata of a sharded checkpoint without running any of it.

    Raises:
        VerificationError: it names a class that such metadata never holds, or is no pickle.
    """
    with path.open("rb") as file:
        try:
            _Reader(file).load()
        except VerificationError as error:
            raise VerificationError(f"{path} is not a sharded checkpoint's metadata: {error}") from error
        # A damaged pickle fails in any of these ways: the format is a program for a small virtual machine.
        except (pickle.UnpicklingError, ValueError, TypeError, EOFError, LookupError, AttributeError, RecursionError,
                MemoryError, OverflowError) as error:  # fmt: skip
            fault = " ".join(str(error).split())
            raise VerificationError(f"{path} is not a sharded checkpoint's metadata: {fault}") from error
