"""A warehouse for one pull: filled from a simulator or from files, served on loopback, gone afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cortex.domains.markets.source import Source
from cortex.domains.markets.warehouse.filling import fill
from cortex.domains.markets.warehouse.rpc_server import Limits, WarehouseServer, serving
from cortex.domains.markets.warehouse.sql_engine import Engine

KEY = "local"


@contextmanager
def local_warehouse(source: Source, *, simulated: bool, limits: Limits | None = None) -> Iterator[WarehouseServer]:
    """Serve a source's tables until the block is left. Raises DataError as the source does."""
    tables = source.load()
    with tempfile.TemporaryDirectory(prefix="cortex-warehouse-") as folder:
        engine = Engine(Path(folder))
        try:
            fill(engine, tables, simulated)
            with serving(engine, limits) as server:
                yield server
        finally:
            engine.close()
