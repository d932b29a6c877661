"""Judging replies on the test split, and writing the results: `evaluation.json`, `evaluation.html`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples, compare, measure_interval
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import REFERENCE_LOSS, Measure, Scale
from cortex.evaluation.page import Figure, render_page
from cortex.evaluation.record import (
    HTML_NAME,
    JSON_NAME,
    Column,
    Comparison,
    DataSummary,
    Derived,
    Evaluated,
    Evaluation,
    Group,
    Sample,
    Words,
)
from cortex.evaluation.study import Study
from cortex.evaluation.tries import Tries
from cortex.evaluation.verdict import FIRST, verdict


@dataclass(frozen=True)
class Origin:
    """The domain and the source of the examples, for the results."""

    domain: str
    """The domain's kind, or its name among several."""
    source: str
    """Source of the examples, in words."""
    simulated: bool
    train_examples: int
    """Number of examples that the models were trained on."""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further facts of the data, for people."""


def evaluate(
    models: Mapping[str, Sequence[Graded]],
    baselines: Mapping[str, Sequence[Graded]],
    clusters: Clusters,
    *,
    judged: str,
    scale: Scale,
    measures: Sequence[Measure],
    origin: Origin,
    details: Callable[[Grades], dict[str, JsonValue]] = lambda _: {},
    groups: Callable[[Grades, Resamples], dict[str, list[Group]]] = lambda *_: {},
    chapters: Callable[[Study], list[Chapter]] = lambda _: [],
    samples: Sequence[Sample] = (),
    derived: Sequence[Derived] = (),
    tries: Tries = FIRST,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Compare models, given by name and in the order of their training, with one another and with baselines.

    Each has one grade for each test example, in the order of `clusters`. The verdict is about `judged`. `details`
    computes the data of the domain's own figures from a contender's grades, `groups` its groups of answers, and
    `chapters` what further analyses find. `tries` counts the models that the test set has judged before.

    Raises:
        DataError: grades do not fit the examples, or a name is a baseline's or unknown.
    """
    _check_names(models, baselines, judged, scale.reference)
    reference = baselines[scale.reference]
    drawn = Resamples.draw(clusters, resamples=resamples, seed=seed)
    everyone = {name: Grades.of(graded, reference) for name, graded in {**models, **baselines}.items()}
    evaluated = {
        name: _evaluated(
            grades,
            drawn,
            scale,
            measures,
            is_timed=bool(clusters.times),
            details=details(grades),
            groups=groups(grades, drawn),
        )
        for name, grades in everyone.items()
    }
    comparisons = _comparisons(list(models), list(baselines), everyone, drawn)
    data = _summarize_data(origin, clusters, drawn, seed)
    return Evaluation(
        data=data,
        words=_words(scale),
        columns=[Column(name=m.name, title=m.title, form=m.form, on_card=m.on_card) for m in measures],
        verdict=verdict(judged, evaluated[judged], comparisons, data, scale, tries),
        models={name: evaluated[name] for name in models},
        baselines={name: evaluated[name] for name in baselines},
        comparisons=comparisons,
        chapters=chapters(Study(everyone, tuple(models), judged, clusters, drawn, seed, tries.models)),
        samples=list(samples),
        derived=list(derived),
    )


def with_reasons(evaluation: Evaluation, sentences: Iterable[str]) -> Evaluation:
    """The evaluation with further sentences after its verdict's reason."""
    verdict = evaluation.verdict
    reason = " ".join([verdict.reason, *sentences])
    return evaluation.model_copy(update={"verdict": verdict.model_copy(update={"reason": reason})})


def write_report(
    evaluation: Evaluation, folder: Path, figures: Iterable[Figure] = (), notes: Sequence[str] = ()
) -> None:
    """Write `evaluation.json` and the page `evaluation.html`, which needs no other file and no network.

    `figures` and `notes` are the domain's own.
    """
    (folder / JSON_NAME).write_text(evaluation.to_json(), encoding="utf-8")
    (folder / HTML_NAME).write_text(render_page(evaluation, figures, notes), encoding="utf-8")


def _check_names(models: Iterable[str], baselines: Iterable[str], judged: str, reference: str) -> None:
    own, others = list(models), list(baselines)
    if judged not in own or set(own) & set(others) or reference not in others:
        raise DataError(
            f"models {', '.join(own)}: {judged!r}, which is judged, must be one of them, none may have the name of "
            f"a baseline ({', '.join(others)}), and {reference!r} must be one"
        )


def _words(scale: Scale) -> Words:
    return Words(
        loss=scale.loss,
        skill=scale.skill,
        clusters=scale.clusters,
        reference=scale.reference,
        replies=scale.replies,
    )


def _summarize_data(origin: Origin, clusters: Clusters, drawn: Resamples, seed: int) -> DataSummary:
    return DataSummary(
        domain=origin.domain,
        source=origin.source,
        simulated=origin.simulated,
        train_examples=origin.train_examples,
        test_examples=len(clusters.of),
        clusters=len(clusters),
        times=list(clusters.times),
        span=clusters.span,
        block_length=drawn.block_length,
        resamples=len(drawn.counts),
        seed=seed,
        facts=dict(origin.facts),
    )


def _evaluated(
    grades: Grades,
    drawn: Resamples,
    scale: Scale,
    measures: Sequence[Measure],
    *,
    is_timed: bool,
    details: dict[str, JsonValue],
    groups: dict[str, list[Group]],
) -> Evaluated:
    loss, skill = Measure("loss", scale.loss), scale.skill_measure
    with_interval = [
        loss,
        skill,
        *(measure for measure in measures if measure.has_interval and measure.compute is None),
    ]
    gained = np.bincount(drawn.cluster, weights=grades.values(REFERENCE_LOSS) - grades.loss).cumsum()
    return Evaluated(
        n=len(grades),
        loss=grades.figure(loss),
        skill=grades.figure(skill),
        valid_share=float(grades.valid.mean()),
        measures={measure.name: grades.figure(measure) for measure in measures},
        intervals={measure.name: measure_interval(drawn, grades, measure) for measure in with_interval},
        cumulative_skill=(gained / grades.values(REFERENCE_LOSS).sum()).tolist() if is_timed else [],
        details=details,
        groups=groups,
    )


def _comparisons(
    models: list[str], baselines: list[str], everyone: Mapping[str, Grades], drawn: Resamples
) -> list[Comparison]:
    """Every model against every earlier model, and against every baseline."""
    return [
        compare(drawn, (first, everyone[first]), (second, everyone[second]))
        for index, first in enumerate(models)
        for second in [*models[:index], *baselines]
    ]
