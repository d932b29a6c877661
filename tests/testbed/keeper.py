"""Keeps machines as the cloud says: boots the rented ones, ends the returned ones, takes away the reclaimed ones."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cortex.fleet.clouds.job_names import RUN_TAG
from tests.testbed.catalog import price
from tests.testbed.cloud import Cloud
from tests.testbed.machine import Machine, Order
from tests.testbed.metadata import Metadata
from tests.testbed.place import Place


@dataclass
class Keeper:
    """The machines that run, and the times at which some of them are reclaimed."""

    place: Place
    cloud: Cloud
    metadata: Metadata
    base: Path
    shared: Sequence[Path]
    variables: Mapping[str, str]
    phase: str = "starting"
    machines: dict[str, Machine] = field(default_factory=dict[str, Machine])
    reclaimed_at: dict[str, float] = field(default_factory=dict[str, float])

    def step(self) -> None:
        """Look once at orders and rented machines, and do what is due."""
        self._take_orders()
        for name, moment in list(self.reclaimed_at.items()):
            if time.time() >= moment and name in self.machines:
                order = self.machines[name].order
                self._end(name, "reclaimed")
                self.cloud.terminate(order)
        rented = {order.id: order for order in self.cloud.rented()}
        for name in [name for name in self.machines if name not in rented]:
            self._end(name, "ended", self.cloud.ended(self.machines[name].order))
        for name, order in rented.items():
            if name not in self.machines:
                self._boot(order)
        self.tell()

    def tell(self, phase: str | None = None) -> None:
        """Write the bed's phase and machines, for `status`."""
        self.phase = phase or self.phase
        machines = [self._described(name) for name in sorted(self.machines)]
        aside = self.place.state.with_suffix(".new")
        aside.write_text(json.dumps({"phase": self.phase, "machines": machines}, indent=1) + "\n")
        aside.replace(self.place.state)

    def _described(self, name: str) -> dict[str, Any]:
        machine = self.machines[name]
        values = asdict(machine.order) | {"running": machine.process.poll() is None}
        del values["user_data"]
        values["launched"] = machine.order.launched.timestamp()
        return values | {"reclaimed_at": self.reclaimed_at.get(name)}

    def _take_orders(self) -> None:
        for path in sorted(self.place.orders.glob("*.json")):
            wanted = json.loads(path.read_text())
            path.unlink()
            machine = self.machines.get(wanted["machine"])
            if machine is None:
                continue
            moment = time.time() + wanted["notice"]
            self.reclaimed_at[machine.order.id] = moment
            if wanted["notice"]:
                self.metadata.give_notice(machine.order, datetime.fromtimestamp(moment, UTC))
                self._record("noticed", machine.order, at=moment)

    def _boot(self, order: Order) -> None:
        self.metadata.add(order)
        folder = self.place.machines / order.id
        log = self.place.logs / f"{order.id}.log"
        self.machines[order.id] = Machine.boot(order, folder, self.base, self.shared, self.variables, log)
        self._record("booted", order)

    def _end(self, name: str, event: str, moment: float | None = None) -> None:
        machine = self.machines.pop(name)
        self.reclaimed_at.pop(name, None)
        machine.kill()
        self.metadata.remove(machine.order)
        # The cloud's bill ends with the request to end the machine, which is seen here a moment later.
        self._record(event, machine.order, billed_until=moment or time.time())

    def _record(self, event: str, order: Order, **values: float) -> None:
        """Log an event of a machine, with all that the cloud bills by."""
        line = {"time": time.time(), "event": event, "machine": order.id, "type": order.type, "region": order.region}
        line |= {
            "launched": order.launched.timestamp(),
            "spot": order.spot,
            "price": price(order.type, order.region, order.spot),
            "run": order.tags.get(RUN_TAG),
            **values,
        }
        with (self.place.logs / "machines.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
