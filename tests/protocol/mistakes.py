"""Mistakes that a person could make in the protocol: each is an edit of the real code."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cortex.artifacts import artifact, creating, lease
from cortex.runs import ledger


@dataclass(frozen=True)
class Mistake:
    """A piece of a function's source, and what a mistaken hand would write there."""

    name: str
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
        for module in (artifact, lease, ledger):  # which have the name from elsewhere
            if not inspect.isclass(self.owner) and getattr(module, self.function, None) is plain:
                patch.setattr(module, self.function, made)


MISTAKES = (
    Mistake("the lease is not asked for before the manifest", artifact, "_send", "lease.check()", "pass"),
    Mistake("a check looks at nothing", lease.Lease, "check", "self._require_own()", "return"),
    Mistake("a check asks for no newer epoch", lease.Lease, "_require_newest", "+ 1)) is not None", "+ 1)) is self"),
    Mistake(
        "an epoch refused while it is free is skipped",
        creating,
        "create",
        "raise _UnsettledError(",
        "return False; raise _UnsettledError(",
    ),
    Mistake(
        "an answer that was lost counts as another's",
        creating,
        "create",
        "return store.get(key) == data",
        "store.get(key); return False",
    ),
    Mistake(
        "a refusal counts as a success",
        creating,
        "create",
        "return store.get(key) == data",
        "store.get(key); return True",
    ),
    Mistake(
        "an epoch is put without a condition",
        creating,
        "create",
        "if store.put_if_absent(key, data):\n            return True",
        "store.put(key, data); return True",
    ),
    Mistake("a taker begins behind the newest epoch", lease, "_newest", "default=0)", "default=0) + 1"),
    Mistake("the lease is not asked for before the files", artifact, "_send", "lease.checked()", "_unchecked"),
    Mistake(
        "a ledger counts on before its object is there",
        ledger.Ledger,
        "flush",
        "self._sent = sent\n",
        "self._sent = None\n",
    ),
    Mistake(
        "a reader reads what it has read again", ledger.LedgerReader, "new_entries", "self._seen.update(keys)", "pass"
    ),
)
