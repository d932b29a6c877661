"""The cap of a search: the dollars of all its runs' ledgers, and what running trials and the winner may still cost.

Each trial's run has a cap of its own, which its machines keep to. A trial begins only if its cap fits into what is left
of the search's, so that the search's holds even where nobody watches it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cortex.errors import ConfigError
from cortex.search.trial_outcome import Outcome


@dataclass(frozen=True)
class SearchCap:
    """Dollars for a whole search, and the estimate of one run."""

    dollars: float
    one_run: float
    """Estimated dollars of one whole run: no trial begins with less than that."""
    own: float
    """The cap of the profile's own runs; 0: none."""

    def require_one_run(self) -> None:
        """Check that at least one run fits.

        Raises:
            ConfigError: it does not.
        """
        if self.dollars < self.one_run:
            raise ConfigError(
                f"the search's cap of ${self.dollars:.2f} is under the ${self.one_run:.2f} that one run is estimated "
                "to cost: raise it, or search with a smaller profile"
            )
        if 0 < self.own < self.one_run:
            raise ConfigError(
                f"budget.dollars ${self.own:.2f} is under the ${self.one_run:.2f} that one run is estimated to cost: "
                "every trial would end at it; raise it"
            )

    def left(self, outcomes: Sequence[Outcome]) -> float:
        """Dollars that no trial has cost or may still cost.

        A trial under way may cost all of its own cap. Of the trials that finished, one will be chosen and go on to its
        judging, under what is left of its own cap.
        """
        under_way = sum(max(one.trial.dollars, one.spent) for one in outcomes if one.state == "under way")
        ended = sum(one.spent for one in outcomes if one.state != "under way")
        judging = max(
            (max(0.0, one.trial.dollars - one.spent) for one in outcomes if one.state == "finished"), default=0
        )
        return self.dollars - under_way - ended - judging

    def for_winner(self, winner: Outcome, outcomes: Sequence[Outcome]) -> float:
        """The dollars that the winner's run may cost in all, with its judging: what the other trials left."""
        others = sum(one.spent for one in outcomes if one.trial.number != winner.trial.number)
        return math.floor((self.dollars - others) * 100) / 100

    def next_trial(self, outcomes: Sequence[Outcome]) -> float | None:
        """The cap of another trial's run, in dollars; None where none fits."""
        left = self.left(outcomes)
        if left < max(self.one_run, 0.01):
            return None
        return math.floor(min(self.own or left, left) * 100) / 100
