"""The price of a debate in tokens, and the loss that it saves against one answer of the same model."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cortex.evaluation.bootstrap import compare
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.record import Comparison
from cortex.evaluation.study import Study
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS

DEBATE = "debate"
"""The contender's name, beside the models."""


def debate_chapters(study: Study, tokens: Mapping[str, NDArray[np.int64]], loss: str) -> list[Chapter]:
    """The chapter on the debate; none where there was no debate.

    `tokens` has those of each model's prompts and answers (N x 2); `loss` is the loss's name.
    """
    if DEBATE not in study.contenders:
        return []
    debate, alone = study.contenders[DEBATE], study.contenders[study.judged]
    spent = {name: float(tokens[name].sum(axis=1).mean()) for name in (study.judged, DEBATE)}
    found = compare(study.resamples, (DEBATE, debate), (study.judged, alone))
    sentences = [
        f"The debate cost {spent[DEBATE] / spent[study.judged]:.1f} times the tokens of one answer: "
        f"{spent[DEBATE]:,.0f} a question, against {spent[study.judged]:,.0f} of {study.judged} alone.",
        f"It bought a difference in {loss} of {found.difference:+z.4f} (95% interval {found.interval.low:+z.4f} to "
        f"{found.interval.high:+z.4f}; above 0, the debate loses less). {_judge(study, found)}",
        f"{debate.valid.mean():.1%} of the debate's replies can be read, and {alone.valid.mean():.1%} of "
        f"{study.judged}'s. One that cannot counts as the reference baseline's.",
    ]
    return [Chapter(name=DEBATE, title="A debate", sentences=sentences)]


def _judge(study: Study, found: Comparison) -> str:
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * study.resamples.block_length)
    if len(study.clusters) < needed:
        return f"Whether that is worth anything cannot be told: {len(study.clusters)} clusters, of at least {needed}."
    if min(study.contenders[name].valid.mean() for name in (DEBATE, study.judged)) < 0.5:
        return "Whether that is worth anything cannot be told: fewer than half of the replies can be read."
    if found.interval.low > 0:
        return "That is a gain."
    return "That is a harm." if found.interval.high < 0 else "No gain is shown."
