"""The identity and price of this machine, from its cloud's metadata service and the run's price list."""

import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from loguru import logger

from cortex.runs.metadata.metadata_client import AbsentError, MetadataError
from cortex.runs.metadata.metadata_source import Identity, Rented
from cortex.runs.price_list import PriceList

SECONDS = 2.0
"""The time limit for all metadata services, which are asked at once. Where there is none, asking fails sooner."""

RETRY_SECONDS = 0.2

BOOTING = 3600.0
"""Most seconds between a machine's boot and this program if it was rented for the run: they go into image and setup. A
machine that is up for longer, such as the user's own, costs the run nothing for the time before."""

RESOLUTION = 5.0
"""Smaller differences from a cloud's clock are ignored: its answer is in whole seconds, and takes a moment."""


@dataclass(frozen=True)
class Machine:
    """A machine that works for a run, and its price."""

    id: str
    """The cloud's id for it; the host's name if no cloud answers."""
    since: float
    """The time from which it costs, in seconds since 1970: its launch, if the cloud gives that; its boot, if the cloud
    gives its identity alone; else the time given to `identify`."""
    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    accelerators: str | None = None
    spot: bool = False
    dollars_per_hour: float = 0.0
    """The price of all its nodes together."""
    nodes: int = 1
    """Machines of one kind that work together; this one is metered for all of them."""
    ahead: float = 0.0
    """Seconds that this machine's clock is ahead of the clock of `since`."""

    def sign_of_life(self, now: float) -> dict[str, Any]:
        """The values of a sign of life; `now` is by this machine's clock."""
        until = now - self.ahead
        seconds = round(max(0.0, until - self.since), 3)
        return {"machine": self.id, "since": round(self.since, 3), "until": round(until, 3), "seconds": seconds}

    def entry(self) -> dict[str, Any]:
        """The values for the ledger's `machine_started`."""
        values = {name: value for name, value in vars(self).items() if name not in ("id", "ahead")}
        return {"machine": self.id, **values, "since": round(self.since, 3)}


def uptime() -> float:
    """Seconds since this machine was booted; in a container, since its host was."""
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
    """This machine, with `nodes` that work together.

    `since` is the time from which it costs if no cloud gives one, `prices` the run's price list, `up` the machine's
    uptime.

    A machine that the list does not have costs as much as the list's dearest: a budget is better reached too early than
    too late. Without a list, nothing was rented for this run.
    """
    rented = _first_answer(asked, seconds)
    highest = (prices.highest if prices else None) or 0.0
    if rented is None:
        return Machine(platform.node() or "localhost", since, dollars_per_hour=highest * nodes, nodes=nodes)
    # By the cloud's clock, as the launch time is: this machine's may be wrong.
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


def _first_answer(asked: Sequence[Identity], seconds: float) -> Rented | None:
    """The answer of the first cloud that knows this machine; None if none answers in time."""
    said: SimpleQueue[Rented | None] = SimpleQueue()
    end = time.monotonic() + seconds

    def ask(identity: Identity) -> None:
        said.put(_ask_until(identity, end))

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


def _ask_until(identity: Identity, end: float) -> Rented | None:
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
