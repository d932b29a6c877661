"""Mistakes that a person could make in the protocol: each is an edit of the real code."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cortex.artifacts import artifact, creating, lease, receipt, receiving, sending
from cortex.fleet.home import download, teardown
from cortex.runs import budget, context, ledger, machine, meter
from tests.protocol import publishing, receipts, spending
from tests.protocol.publishing import play_publishing
from tests.protocol.receipts import play_receipts
from tests.protocol.rules import Rule
from tests.protocol.scenario import Play
from tests.protocol.spending import play_spending

IMPORTING = (
    publishing,
    spending,
    receipts,
    artifact,
    context,
    download,
    lease,
    ledger,
    meter,
    receipt,
    sending,
    teardown,
)
"""Modules that may have imported a mistaken function by its name."""


@dataclass(frozen=True)
class Mistake:
    """A piece of a function's source, and a plausible mistake in its place."""

    name: str
    play: Play
    """The scenario that finds it."""
    rules: tuple[Rule, ...]
    """Rules that the mistake may break first: the schedule decides which."""
    owner: Any
    """The module or class that has the function."""
    function: str
    right: str
    wrong: str

    def make(self, patch: pytest.MonkeyPatch) -> None:
        """Put the mistaken function in the place of the right one."""
        found = inspect.getattr_static(self.owner, self.function)
        plain: Callable[..., Any] = found.__func__ if isinstance(found, classmethod) else found
        source = textwrap.dedent(inspect.getsource(plain))
        assert source.count(self.right) >= 1, f"{self.function} has no {self.right!r}"
        names: dict[str, Any] = {}
        exec(source.replace(self.right, self.wrong), plain.__globals__, names)
        made = names[self.function]
        patch.setattr(self.owner, self.function, made)
        for module in IMPORTING:
            if not inspect.isclass(self.owner) and getattr(module, self.function, None) is plain:
                patch.setattr(module, self.function, made)


MISTAKES = (
    Mistake(
        "the lease is not asked for before the manifest",
        play_publishing,
        (Rule.ONE_WRITER,),
        artifact,
        "_publish_in_bucket",
        "lease.check if lease else _no_check",
        "_no_check",
    ),
    Mistake(
        "something is asked between the lease and the manifest",
        play_publishing,
        (Rule.ONE_WRITER,),
        artifact,
        "_publish_in_bucket",
        "lease.check if lease else _no_check",
        "lambda: (lease.check(), find(store, prefix))",
    ),
    Mistake(
        "a manifest that was refused is put again unasked",
        play_publishing,
        (Rule.ONE_WRITER,),
        creating,
        "create",
        "        check()\n        if store.put_if_absent(key, data):",
        "        nonlocal check\n        check()\n        check = bool\n        if store.put_if_absent(key, data):",
    ),
    Mistake(
        "a manifest is put without a condition",
        play_publishing,
        (Rule.WRITTEN_ONCE,),
        artifact,
        "_publish_in_bucket",
        'create(store, f"{prefix}/{MANIFEST}", manifest.data, lease.check if lease else _no_check)',
        'lease.check(); store.put(f"{prefix}/{MANIFEST}", manifest.data)',
    ),
    Mistake(
        "the manifest is put before the files",
        play_publishing,
        (
            Rule.WHOLE,
            Rule.ONE_WRITER,
        ),
        artifact,
        "_publish_in_bucket",
        "    check = lease",
        '    create(store, f"{prefix}/{MANIFEST}", describe_as(origin, folder).data)\n    check = lease',
    ),
    Mistake(
        "a check looks at nothing",
        play_publishing,
        (Rule.ONE_WRITER,),
        lease.Lease,
        "check",
        "self._require_own()",
        "return",
    ),
    Mistake(
        "a check believes its listing",
        play_publishing,
        (Rule.ONE_WRITER,),
        lease.Lease,
        "check",
        "self._require_newest()",
        "pass",
    ),
    Mistake(
        "a check asks for no newer epoch",
        play_publishing,
        (Rule.ONE_WRITER,),
        lease.Lease,
        "_require_newest",
        "+ 1)) is not None",
        "+ 1)) is self",
    ),
    Mistake(
        "an epoch refused while it is free is skipped",
        play_publishing,
        (
            Rule.NO_SURPRISE,
            Rule.NO_GAP,
        ),
        creating,
        "create",
        "raise _UnsettledError(",
        "return False; raise _UnsettledError(",
    ),
    Mistake(
        "an answer that was lost counts as another's",
        play_publishing,
        (
            Rule.NO_EVENT_TWICE,
            Rule.NO_EVENT_LOST,
        ),
        creating,
        "create",
        "return store.get(key) == data",
        "store.get(key); return False",
    ),
    Mistake(
        "a refusal counts as a success",
        play_publishing,
        (
            Rule.NO_EVENT_LOST,
            Rule.ONE_WRITER,
        ),
        creating,
        "create",
        "return store.get(key) == data",
        "store.get(key); return True",
    ),
    Mistake(
        "what is written once is put without a condition",
        play_publishing,
        (Rule.WRITTEN_ONCE,),
        creating,
        "create",
        "if store.put_if_absent(key, data):\n            return True",
        "store.put(key, data); return True",
    ),
    Mistake(
        "a taker begins behind the newest epoch",
        play_publishing,
        (Rule.NO_GAP,),
        lease,
        "_newest_epoch",
        "(store, run)[0]",
        "(store, run)[0] + 1",
    ),
    Mistake(
        "the lease is not asked for before the files",
        play_publishing,
        (Rule.ONE_WRITER,),
        artifact,
        "_publish_in_bucket",
        "lease.throttled_check()",
        "_no_check",
    ),
    Mistake(
        "a file is sent again unasked",
        play_publishing,
        (Rule.ONE_WRITER,),
        sending,
        "send",
        "check()  # once more",
        "pass  # once more",
    ),
    Mistake(
        "a file is not read back",
        play_publishing,
        (Rule.WHOLE,),
        sending,
        "send",
        "hash_object(store, key, sent.size) == sent",
        "True",
    ),
    Mistake(
        "a ledger counts on before its object is there",
        play_publishing,
        (Rule.NO_EVENT_LOST,),
        ledger.Ledger,
        "flush",
        "self._sent = sent\n",
        "self._sent = None\n",
    ),
    Mistake(
        "a reader reads what it has read again",
        play_publishing,
        (Rule.NO_EVENT_TWICE,),
        ledger.LedgerReader,
        "new_entries",
        "self._seen.update(keys)",
        "pass",
    ),
    Mistake(
        "a bucket without conditional writes will do",
        play_publishing,
        (Rule.CONDITIONAL,),
        context,
        "create_run",
        "_require_conditional_writes(store, rehearsal=rehearsal)",
        "pass",
    ),
    Mistake(
        "a sign is by the writer's clock",
        play_spending,
        (
            Rule.SPEND_NEVER_JUMPS,
            Rule.SPEND_NEVER_FALLS,
            Rule.SPEND_COUNTS,
        ),
        budget._Attempt,
        "add_sign",
        '"seconds" in sign',
        "False",
    ),
    Mistake(
        "other events count where signs do",
        play_spending,
        (
            Rule.SPEND_NEVER_FALLS,
            Rule.SPEND_NEVER_JUMPS,
        ),
        budget,
        "charges",
        "and not attempt.counted",
        "",
    ),
    Mistake(
        "the newest sign replaces the longest",
        play_spending,
        (
            Rule.SPEND_NEVER_FALLS,
            Rule.SPEND_COUNTS,
        ),
        budget._Attempt,
        "add_sign",
        'max(self.until, self.since + sign["seconds"])',
        'self.since + sign["seconds"] % 100',
    ),
    Mistake(
        "machines at once count once",
        play_spending,
        (
            Rule.SPEND_COUNTS,
            Rule.NO_SURPRISE,
            Rule.SPEND_NEVER_FALLS,
        ),
        budget,
        "spent",
        "sum(charge.dollars for charge in charges(events))",
        "max([0.0, *(charge.dollars for charge in charges(events))])",
    ),
    Mistake(
        "a machine's clock is not held against its cloud's",
        play_spending,
        (
            Rule.SPEND_NEVER_JUMPS,
            Rule.SPEND_COUNTS,
        ),
        machine.Machine,
        "sign_of_life",
        "now - self.ahead",
        "now",
    ),
    Mistake(
        "a sign that was not taken is forgotten",
        play_spending,
        (
            Rule.NO_SURPRISE,
            Rule.SPEND_COUNTS,
        ),
        meter.Meter,
        "_enter",
        'self._ledger.hold("machine_started"',
        '(not self._failed) and self._ledger.append("machine_started"',
    ),
    Mistake(
        "a receipt is written before the copy is here",
        play_receipts,
        (Rule.NO_RECEIPT_WITHOUT_COPY,),
        download,
        "download",
        "    receive(store, prefix, manifest, target, advance)\n",
        '    write_receipt(run, manifest, target, home, store.url, "bucket", now())\n'
        "    receive(store, prefix, manifest, target, advance)\n",
    ),
    Mistake(
        "a receipt is believed",
        play_receipts,
        (Rule.NO_TEARDOWN_WITHOUT_COPY,),
        teardown,
        "require_copy",
        "receipt.check(published)",
        "pass",
    ),
    Mistake(
        "a receipt's copy is not hashed again",
        play_receipts,
        (Rule.NO_TEARDOWN_WITHOUT_COPY,),
        receipt.Receipt,
        "check",
        "found.differing or found.missing",
        "False",
    ),
    Mistake(
        "bytes are kept unhashed",
        play_receipts,
        (Rule.NO_RECEIPT_WITHOUT_COPY,),
        receiving._Fetch,
        "_complete",
        "digest.hexdigest() == entry.sha256",
        "True",
    ),
)
