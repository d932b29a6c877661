"""The protocol's code without waits, and with one thread a program: the schedule alone decides the order."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

import pytest
from loguru import logger

from cortex.artifacts import creating, receiving, sending
from cortex.artifacts.lease import Lease
from cortex.artifacts.patience import Patience
from cortex.runs import ledger

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_at_a_time() -> Generator[None]:
    """Make the changes, and undo them at the end."""
    with pytest.MonkeyPatch.context() as patch:
        _change(patch)
        logger.disable("cortex")  # outages by the thousand
        try:
            yield
        finally:
            logger.enable("cortex")


def _change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(creating, "SETTLING", Patience(sleep=lambda seconds: None))
    for module in (receiving, sending, ledger):
        patch.setattr(module, "in_parallel", _in_order)
    throttled = Lease.throttled_check
    patch.setattr(Lease, "throttled_check", lambda lease: throttled(lease, clock=lease.store.now))


def _in_order(call: Callable[[Item], Result], items: Iterable[Item], workers: int) -> list[Result]:
    del workers
    return [call(item) for item in items]
