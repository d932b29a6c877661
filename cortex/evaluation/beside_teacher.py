"""The teacher itself as a contender, on those test questions that it was asked."""

from collections.abc import Sequence

from cortex.evaluation.bootstrap import Resamples, compare, measure_interval
from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure, Scale
from cortex.evaluation.record import label
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS

NAME = "teacher"


def beside_teacher(
    model: tuple[str, Sequence[Graded]],
    teacher: Sequence[Graded],
    reference: Sequence[Graded],
    clusters: Clusters,
    *,
    scale: Scale,
    unanswered: int,
    resamples: int = 1000,
    seed: int = 0,
) -> Chapter:
    """Compare a model, by its name and grades, with the teacher on the same N questions, in the order of `clusters`.

    A question that the teacher did not answer counts as the reference baseline's answer, as an unreadable one does.
    """
    name, graded = model
    count = len(teacher)
    sentences = [f"The teacher was asked {count:,} of the test questions, and left {unanswered:,} unanswered."]
    if len(clusters) < 2:
        sentences.append(f"They are of {len(clusters)} {scale.clusters}, which tells nothing.")
        return Chapter(name=NAME, title="The teacher itself", sentences=sentences)
    drawn = Resamples.draw(clusters, resamples=resamples, seed=seed)
    both = {NAME: Grades.of(teacher, reference), name: Grades.of(graded, reference)}
    found = compare(drawn, (name, both[name]), (NAME, both[NAME]))
    sentences.append(
        f"Its {scale.loss} less that of {label(name)} is {found.difference:+z.4f} (95% interval "
        f"{found.interval.low:+z.4f} to {found.interval.high:+z.4f}; above 0, {label(name)} is better)."
    )
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * drawn.block_length)
    if len(clusters) < needed:
        sentences.append(f"Which is better cannot be told: {len(clusters)} {scale.clusters}, of at least {needed}.")
    else:
        words = {"beats": "is better than", "worse than": "is worse than"}.get(found.relation, "is not told apart from")
        sentences.append(f"So {label(name)} {words} its teacher.")
    return Chapter(
        name=NAME, title="The teacher itself", sentences=sentences, tables=[_table(both, name, drawn, scale)]
    )


def _table(both: dict[str, Grades], judged: str, drawn: Resamples, scale: Scale) -> Table:
    measures = (scale.skill_measure, Measure("loss", scale.loss))
    return Table(
        title="On the same questions",
        headings=[
            *(Heading(title=measure.title, form=measure.form) for measure in measures),
            Heading(title=f"Valid {scale.replies}", form=".1%"),
        ],
        rows=[
            Row(
                name=name,
                cells=[
                    *(
                        Cell(value=grades.figure(measure), interval=measure_interval(drawn, grades, measure))
                        for measure in measures
                    ),
                    Cell(value=float(grades.valid.mean())),
                ],
                is_judged=name == judged,
            )
            for name, grades in both.items()
        ],
    )
