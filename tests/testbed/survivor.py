"""The job of `test_recovery.py`, as its machines run it: it writes what it sees to the bucket, and keeps a deadline.

Time is scaled: a start is said to take seconds, so that a try at spot is due as soon as the machine has come up.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import MovedError
from cortex.runs.deadline_standing import Deadline
from cortex.runs.ledger import Ledger, LedgerReader
from cortex.runs.meter import Meter
from cortex.runs.price_list import Offer, PriceList
from tests.testbed.catalog import KINDS, ZONES, price

RUN = "survivor"
START_SECONDS = 20.0
"""A try at spot is due after four of them, counted from the request for the machine."""

SERVICE = "http://169.254.169.254/latest"
LIFETIME, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


def ask(path: str, header: tuple[str, str] | None = None, method: str = "GET") -> str | int:
    """The metadata service's answer, or the status of its refusal."""
    headers = dict([header]) if header else {}
    request = urllib.request.Request(f"{SERVICE}/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code


def main() -> None:
    store = open_store(os.environ["CORTEX_BUCKET"])

    def tell(key: str, value: str | int) -> None:
        store.put(f"survivor/{key}", str(value).encode())

    def told(key: str) -> bool:
        try:
            return bool(store.get(f"survivor/{key}"))
        except MissingObjectError:
            return False

    tell("without-token", ask("meta-data/instance-id"))
    token = TOKEN, str(ask("api/token", (LIFETIME, "600"), "PUT"))
    machine = ask("meta-data/instance-id", token)
    if not told("notice"):
        tell("identity", ask("dynamic/instance-identity/document", token))
        tell("life-cycle", ask("meta-data/instance-life-cycle", token))
        tell("too-early", ask("meta-data/spot/instance-action", token))
        _begin(store)
        with Meter(store, RUN, 0.0, "sft", every=1.0) as meter:
            meter.use_epoch(Lease.take(store, RUN).epoch)
            tell("first", machine)
            while isinstance(notice := ask("meta-data/spot/instance-action", token), int):
                time.sleep(1)
            tell("rebalance", ask("meta-data/events/recommendations/rebalance", token))
            tell("notice", notice)
            time.sleep(600)
    elif not told("second"):
        with Meter(store, RUN, 0.0, "sft", every=1.0) as meter:
            meter.use_epoch(Lease.take(store, RUN).epoch)
            tell("second", machine)
            try:
                while True:
                    meter.require()
                    time.sleep(0.2)
            except MovedError as moved:
                sys.exit(moved.exit_code)
    else:
        decisions = [event for event in LedgerReader(store, RUN).new_events() if event["event"] == "deadline_decision"]
        said = [json.dumps([event["decision"], event["reason"]]) for event in decisions]
        tell("decisions", "\n".join(said))
        tell("third", machine)


def _begin(store: Store) -> None:
    """Write what a launch writes for a run with a deadline: its prices, and the time by which it is to end."""
    offers = (
        Offer(
            cloud="aws",
            region=region,
            instance_type=kind.name,
            spot=spot,
            dollars_per_hour=price(kind.name, region, spot),
        )
        for kind in KINDS
        for region in ZONES
        for spot in (True, False)
    )
    PriceList(taken=time.time(), offers=tuple(offers)).write(store, RUN)
    deadline = Deadline(time.time() + 7200, 2.0, START_SECONDS, 10.0, {"sft": 3600.0}, ("sft",), True)
    ledger = Ledger(store, RUN, Lease.take(store, RUN).epoch)
    ledger.hold("deadline_set", **deadline.entry())
    ledger.append("launching", name=RUN)


if __name__ == "__main__":
    main()
