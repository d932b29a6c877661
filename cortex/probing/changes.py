"""Changes from the answers to questions as they were to those of one variant of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.domains.probe import Probe
from cortex.evaluation.chapter import Cell, Heading
from cortex.probing.clustered import SHARE
from cortex.probing.probe_replies import Lens

CHANGE_HEADINGS = (
    Heading(title="Questions", form=".0f"),
    Heading(title="Readable", form=".1%"),
    Heading(title="Moves by", form=".3f"),
    Heading(title="Other side", form=".1%"),
    Heading(title="Loss grows by", form="+z.4f"),
)


@dataclass(frozen=True)
class Changes:
    """Figures of one variant, over its probes."""

    count: int
    readable: Cell
    moved: Cell
    """Mean distance of the stated probabilities; words where the domain's replies state none."""
    flips: Cell
    """Share of the answers on the other side, of those where both can be read."""
    growth: Cell
    """Loss less the loss of the usual answer; an unreadable answer counts as the domain grades it."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[Probe, str]], usual: Mapping[str, str], lens: Lens) -> "Changes":
        """Compare replies with `usual`, the replies to the originals by example."""
        ids: list[str] = []
        read: list[float] = []
        growth: list[float] = []
        both: list[str] = []
        moved: list[float] = []
        flips: list[float] = []
        for probe, reply in pairs:
            before = lens.stated(probe.example, usual[probe.example.id])
            after = lens.stated(probe.asked, reply)
            ids.append(probe.example.id)
            read.append(float(after.valid))
            growth.append(after.loss - before.loss)
            if before.valid and after.valid:
                both.append(probe.example.id)
                flips.append(float(before.side * after.side < 0))
                if before.number is not None and after.number is not None:
                    moved.append(abs(after.number - before.number))
        mean = lens.clustered.mean
        return cls(
            count=len(pairs),
            readable=mean(ids, read, SHARE),
            moved=mean(both, moved) if len(moved) == len(both) else Cell(text="states none"),
            flips=mean(both, flips, SHARE),
            growth=mean(ids, growth),
        )

    def cells(self) -> list[Cell]:
        """The figures, in the order of `CHANGE_HEADINGS`."""
        return [Cell(value=self.count), self.readable, self.moved, self.flips, self.growth]
