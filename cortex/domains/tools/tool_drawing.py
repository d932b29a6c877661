"""The drawing of questions from a made world, and their true answers by the tools themselves."""

import random
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from cortex.domains.example_columns import examples_frame, split_of
from cortex.domains.question import Example
from cortex.domains.tools.tool_prompt import write_prompt
from cortex.domains.tools.tool_questions import KINDS, Asked, KindName, today_of
from cortex.domains.tools.toolbox import Toolbox


def draw_examples(
    toolbox: Toolbox, shares: Mapping[KindName, float], count: int, seed: int, most_rounds: int
) -> pl.DataFrame:
    """At most `count` different examples of a seed, with a column `question` of their kinds.

    `shares` are those of the kinds. Questions about the same things on different days are one cluster, and so in one
    split.
    """
    rng, world, style = random.Random(f"tools {seed}"), toolbox.world, toolbox.style
    examples: list[Example] = []
    clusters: list[str] = []
    kinds: list[str] = []
    texts: set[str] = set()
    for name in rng.choices(list(shares), list(shares.values()), k=count):
        values = KINDS[name].draw(rng, world)
        text = KINDS[name].write(values, style)
        if text in texts:
            continue
        texts.add(text)
        cluster = f"{name} " + " ".join(value for key, value in values.items() if key != "today")
        truth = _answer(replace(toolbox, today=today_of(text, style, world)), Asked(name, values))
        prompt = write_prompt(text, toolbox.tools, style, most_rounds)
        examples.append(Example(f"{name}-{len(examples)}", prompt, truth, split_of(cluster)))
        clusters.append(cluster)
        kinds.append(name)
    return examples_frame(examples, clusters).with_columns(pl.Series("question", kinds, pl.String))


def _answer(toolbox: Toolbox, asked: Asked) -> str:
    results: list[str] = []
    while call := asked.call(results):
        results.append(toolbox.run(call))
    return asked.answer(results)
