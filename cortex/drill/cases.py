"""Cases of a drill: the fault, its moment, and the newest good checkpoint after it."""

from dataclasses import dataclass

from cortex.drill import moments
from cortex.drill.bench import Bench
from cortex.drill.faults import Damage, catalogue
from cortex.drill.moments import Place, Trial
from cortex.drill.s3 import why_no_server
from cortex.drill.small_disk import why_no_small_disk

QUICK = {"weights half zeroes", "optimizer missing", "trainer state missing"}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    trial: Trial
    good: int
    """Step of the newest checkpoint that the fault leaves intact."""
    reached: int
    """Last step made before the fault."""
    quick: bool = False
    bare: bool = True
    """True where a bare trainer has such a moment, too."""
    cold: bool = False
    """True where its programs start without a warm Python, as on a new machine."""
    left_out: str | None = None
    """Reason why it cannot be tried here, if there is one."""


def cases(bench: Bench) -> list[Case]:
    """Every case, for the checkpoints that this trainer writes."""
    standin = bench.standin
    older, newest, reached = standin.older, standin.newest, standin.reached
    following, total = newest + standin.section.save_steps, standin.section.max_steps
    damages = catalogue(bench.bare.checkpoint(bench.interrupted(bench.bare), newest))
    [zeroed] = [damage for damage in damages if damage.name == "weights half zeroes"]
    return [
        Case("killed, nothing damaged", moments.start_again, newest, reached, quick=True),
        *(
            Case(damage.name, _done(damage), older, reached, damage.name in QUICK, not damage.manifest)
            for damage in damages
        ),
        Case("an upload that lied", moments.alter_upload, older, reached, left_out=why_no_server()),
        Case("killed in the middle of a save", moments.kill_in_save, newest, following, quick=True),
        Case("killed in the middle of a commit", moments.kill_in_commit, newest, following, bare=False),
        Case("killed after the last save", moments.kill_after_last_save, following, total, quick=True),
        Case("SIGTERM, a spot notice", moments.give_notice, newest, reached, quick=True),
        Case("hangs", moments.hang, newest, reached + 1),
        Case("disk full in the middle of a save", moments.fill_disk, newest, following, left_out=why_no_small_disk()),
        Case("two instances at once", moments.start_second_instance, newest, reached),
        Case("killed, nothing damaged (cold)", moments.start_again, newest, reached, cold=True),
        Case("weights half zeroes (cold)", _done(zeroed), older, reached, cold=True),
    ]


def _done(damage: Damage) -> Trial:
    def trial(place: Place) -> moments.Outcome:
        checkpoint = place.side.checkpoint(place.machine, place.bench.standin.newest)
        damage.apply(checkpoint, place.bench.sound(place.side))
        return place.run_until_done()

    return trial
