"""Which machine this is, as its cloud's metadata service says: it is what a run pays for."""

import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from loguru import logger

from cortex.runs.clouds.metadata import AbsentError, MetadataError
from cortex.runs.clouds.source import Identity, Rented
from cortex.runs.prices import PriceList

SECONDS = 2.0
"""How long the services are asked, all at once; on a machine that has none each gives up before."""

RETRY_SECONDS = 0.2

BOOTING = 3600.0
"""Seconds from a machine's boot to our program within which it was rented for that: image and setup. Of one that is up
for longer, such as somebody's own, the time before is not this run's."""

RESOLUTION = 5.0
"""Seconds by which a clock may seem to differ from a cloud's, which tells whole ones, and takes a moment to answer."""


@dataclass(frozen=True)
class Machine:
    """A machine that works for a run, and what it costs."""

    id: str
    """By its cloud's name; the host's name where no cloud answers."""
    since: float
    """When it began to cost, in seconds since 1970: its launch, where the cloud says that; its boot, where the cloud
    says no more than which machine it is; or what was given."""
    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    accelerators: str | None = None
    spot: bool = False
    dollars_per_hour: float = 0.0
    """Of all its nodes."""
    nodes: int = 1
    """Machines that work as one, of one kind: this one speaks for all of them."""
    ahead: float = 0.0
    """Seconds that this machine's clock is ahead of the one that `since` is by."""

    def sign(self, now: float) -> dict[str, Any]:
        """The values of a sign of life; `now` is by this machine's clock."""
        until = now - self.ahead
        seconds = round(max(0.0, until - self.since), 3)
        return {"machine": self.id, "since": round(self.since, 3), "until": round(until, 3), "seconds": seconds}

    def entry(self) -> dict[str, Any]:
        """Its values in the ledger's `machine_started`."""
        values = {name: value for name, value in vars(self).items() if name not in ("id", "ahead")}
        return {"machine": self.id, **values, "since": round(self.since, 3)}


def uptime() -> float:
    """Seconds since this machine was booted; a container's is its host's."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def identify(
    asked: Sequence[Identity],
    since: float,
    prices: PriceList | None,
    *,
    seconds: float = SECONDS,
    nodes: int = 1,
    up: Callable[[], float] = uptime,
) -> Machine:
    """This machine, and those that work with it, `nodes` in all.

    `since` is when it began to cost if no cloud knows, `prices` what it may cost, `up` for how long it is up.

    A machine that the list does not have costs as much as its dearest: a budget errs on the side of its owner. Without
    a list, nothing was rented for this run.
    """
    rented = _first(asked, seconds)
    highest = (prices.highest if prices else None) or 0.0
    if rented is None:
        return Machine(platform.node() or "localhost", since, dollars_per_hour=highest * nodes, nodes=nodes)
    # By the cloud's clock, which knows when the machine was launched: this one's may be wrong.
    begun = since if rented.ahead is None or abs(rented.ahead) < RESOLUTION else since - rented.ahead
    launched = rented.launched
    if launched is None and (booted := up()) < BOOTING:
        launched = begun - booted
    where = (rented.cloud, rented.region, rented.zone, rented.instance_type, rented.spot)
    offer = prices.find(*where) if prices else None
    if prices and offer is None:
        logger.warning(
            f"no price for {' '.join(map(str, where[:4]))}: it counts as ${highest:.2f}/h, the dearest known"
        )
    return Machine(
        id=rented.id,
        since=begun if launched is None else min(begun, launched),
        ahead=since - begun,
        cloud=rented.cloud,
        region=rented.region,
        zone=rented.zone,
        instance_type=rented.instance_type,
        accelerators=offer.accelerators if offer else None,
        spot=rented.spot,
        dollars_per_hour=nodes * (offer.dollars_per_hour if offer else highest),
        nodes=nodes,
    )


def _first(asked: Sequence[Identity], seconds: float) -> Rented | None:
    """What the first cloud says that knows this machine; None where none does in time."""
    said: SimpleQueue[Rented | None] = SimpleQueue()
    end = time.monotonic() + seconds

    def ask(identity: Identity) -> None:
        said.put(_ask(identity, end))

    for identity in asked:
        threading.Thread(target=ask, args=(identity,), name="identity", daemon=True).start()
    try:
        for _ in asked:
            if rented := said.get(timeout=max(0.0, end - time.monotonic())):
                return rented
    except Empty:
        logger.warning(f"no metadata service said within {seconds:g} s which machine this is: it goes by its host name")
    finally:
        for identity in asked:
            identity.interrupt()
    return None


def _ask(identity: Identity, end: float) -> Rented | None:
    while True:
        try:
            return identity.rented() if identity.probe() else None
        except AbsentError:
            return None
        except MetadataError as error:
            if time.monotonic() + RETRY_SECONDS > end:
                logger.debug(f"{error}: this machine is not known by it")
                return None
            time.sleep(RETRY_SECONDS)
