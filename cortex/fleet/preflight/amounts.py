"""Parser of memory and disk sizes in SkyPilot's tasks."""

from cortex.errors import ConfigError
from cortex.fleet.preflight.ground import Document

_FACTORS = {"k": 1 / 1024**2, "m": 1 / 1024, "g": 1.0, "t": 1024.0, "p": 1024.0**2}


def read_gib(document: Document, key: str, given: object) -> float:
    """GiB of a size such as `512`, `512GB` or `1TB`; `200+`, which means at least 200, counts as 200.

    Raises:
        ConfigError: it is not a size.
    """
    text = str(given).strip().lower().removesuffix("+").removesuffix("ib").removesuffix("b")
    factor = _FACTORS.get(text[-1:])
    try:
        return float(text[:-1]) * factor if factor else float(text)
    except ValueError as error:
        raise ConfigError(f"task {document.get('name')!r}: {key} {given!r} is no size: write 512, or 512GB") from error
