"""The deadline of a run at its launch, first or repeated; refused where the remaining work does not fit the time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cortex.errors import ConfigError, UsageError
from cortex.fleet.estimate.work_estimate import WorkEstimate, estimate_profile
from cortex.fleet.tasks.run_tasks import stages as stages_of
from cortex.profiles.profile import Profile
from cortex.runs.budget import launched_at
from cortex.runs.deadline_rule import reserve_seconds
from cortex.runs.deadline_standing import Deadline
from cortex.runs.events import Event
from cortex.runs.stage_list import models


def make_deadline(
    profile: Profile,
    documents: Sequence[Mapping[str, Any]],
    where: Path,
    hours: float,
    now: float,
    *,
    events: Sequence[Event] = (),
    estimate: WorkEstimate | None = None,
) -> Deadline:
    """The deadline of a run: `hours` from its first launch, or from `now` if it was never launched.

    It allows spot machines only where the slack suffices for losing one.

    `documents` are the run's tasks, from the file `where`; `events` are its ledger's entries so far.

    Raises:
        ConfigError: the duration of the work is not known, or is longer than the time that is left.
    """
    try:
        known = estimate or estimate_profile(profile)
    except UsageError as error:
        raise ConfigError(
            f"a deadline of {hours:g} hours needs an estimate of the work: add `estimates` to profile {profile.name}, "
            f"with the seconds of a step of {' and '.join(models(profile))}, and other_hours for all else"
        ) from error
    named = [stages_of(document, where) for document in documents]
    begun = launched_at(events)
    made = Deadline(
        at=(now if begun is None else begun) + hours * 3600,
        hours=hours,
        restart=known.restart,
        stretch=max(known.intervals.values(), default=0.0) + known.save,
        work={stage: known.stages.get(stage, 0.0) for stages in named for stage in stages},
        starts=tuple(stages[0] for stages in named if stages),
        spot=True,
    )
    need = made.need(events)
    slack = made.at - now - need
    if slack < 0:
        least = math.ceil((hours * 3600 - slack) / 360) / 10
        raise ConfigError(
            f"a deadline of {hours:g} hours cannot be met: {need / 3600:.1f} hours of work and starts are left "
            f"({known.basis}), and {max(0.0, made.at - now) / 3600:.1f} hours: give --deadline {least:g} or more, or "
            "less work (`cortex estimate` shows what takes how long)"
        )
    return replace(made, spot=slack >= reserve_seconds(made.restart, made.stretch))
