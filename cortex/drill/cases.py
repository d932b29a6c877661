"""The cases of a drill: what is done to a machine, at which moment, and what good checkpoint is left then."""

from dataclasses import dataclass

from cortex.drill import moments
from cortex.drill.bench import Bench
from cortex.drill.disk import why_no_small_disk
from cortex.drill.faults import Damage, catalogue
from cortex.drill.moments import Place, Trial
from cortex.drill.s3 import why_no_server

QUICK = {"weights half zeroes", "optimizer missing", "trainer state missing"}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    trial: Trial
    good: int
    """The step of the newest checkpoint that is whole after it."""
    reached: int
    """The last step that was made before it."""
    quick: bool = False
    bare: bool = True
    """Whether a bare trainer knows such a moment, too."""
    cold: bool = False
    """Whether its programs start from nothing, as on a new machine."""
    left_out: str | None = None
    """Why it cannot be tried here."""


def cases(bench: Bench) -> list[Case]:
    """Every case, for the checkpoints that this trainer writes."""
    standin = bench.standin
    older, newest, reached = standin.older, standin.newest, standin.reached
    following, total = newest + standin.section.save_steps, standin.section.max_steps
    damages = catalogue(bench.bare.checkpoint(bench.interrupted(bench.bare), newest))
    [zeroed] = [damage for damage in damages if damage.name == "weights half zeroes"]
    return [
        Case("killed, nothing damaged", moments.nothing, newest, reached, quick=True),
        *(
            Case(damage.name, _done(damage), older, reached, damage.name in QUICK, not damage.manifest)
            for damage in damages
        ),
        Case("an upload that lied", moments.lied, older, reached, left_out=why_no_server()),
        Case("killed in the middle of a save", moments.killed_in_save, newest, following, quick=True),
        Case("killed in the middle of a commit", moments.killed_in_commit, newest, following, bare=False),
        Case("killed after the last save", moments.killed_after_last_save, following, total, quick=True),
        Case("SIGTERM, a spot notice", moments.noticed, newest, reached, quick=True),
        Case("hangs", moments.hangs, newest, reached + 1),
        Case("disk full in the middle of a save", moments.full_disk, newest, following, left_out=why_no_small_disk()),
        Case("two instances at once", moments.two_instances, newest, reached),
        Case("killed, nothing damaged (cold)", moments.nothing, newest, reached, cold=True),
        Case("weights half zeroes (cold)", _done(zeroed), older, reached, cold=True),
    ]


def _done(damage: Damage) -> Trial:
    def trial(place: Place) -> moments.Outcome:
        checkpoint = place.side.checkpoint(place.machine, place.bench.standin.newest)
        damage.apply(checkpoint, place.bench.sound(place.side))
        return place.endure()

    return trial
