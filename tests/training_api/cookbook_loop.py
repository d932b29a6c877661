"""A program of the image `tinker`: the cookbook's own reinforcement loop on sums, against a service.

`python -m tests.training_api.cookbook_loop URL BASE FOLDER BATCHES`; what the loop logs lies in FOLDER.
"""

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from functools import partial

import chz
from tinker_cookbook import renderers, tokenizer_utils
from tinker_cookbook.rl import train
from tinker_cookbook.rl.problem_env import ProblemEnv, ProblemGroupBuilder
from tinker_cookbook.rl.types import RLDataset, RLDatasetBuilder
from transformers import AutoTokenizer, PreTrainedTokenizerBase

RENDERER = "role_colon"


class Sum(ProblemEnv):
    """A sum of two digits. Any digit pays, so that a model from nothing is rewarded now and then."""

    def __init__(self, renderer: renderers.Renderer, one: int, other: int) -> None:
        super().__init__(renderer)
        self._one, self._other = one, other

    def get_question(self) -> str:
        return f"{self._one}+{self._other}="

    def check_format(self, sample_str: str) -> bool:
        return any(letter.isdigit() for letter in sample_str)

    def check_answer(self, sample_str: str) -> bool:
        return sample_str.strip() == self.get_reference_answer()

    def get_reference_answer(self) -> str:
        return str(self._one + self._other)


class Sums(RLDataset):
    def __init__(self, renderer: renderers.Renderer, batches: int) -> None:
        self._renderer, self._batches, self._random = renderer, batches, random.Random(0)

    def __len__(self) -> int:
        return self._batches

    def get_batch(self, index: int) -> Sequence[ProblemGroupBuilder]:
        del index
        drawn = [(self._random.randrange(10), self._random.randrange(10)) for _ in range(4)]
        return [ProblemGroupBuilder(env_thunk=partial(Sum, self._renderer, *pair), num_envs=4) for pair in drawn]


@chz.chz
class SumsBuilder(RLDatasetBuilder):
    base: str
    batches: int

    async def __call__(self) -> tuple[RLDataset, None]:
        return Sums(renderers.get_renderer(RENDERER, _tokenizer(self.base)), self.batches), None


def _tokenizer(base: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(base)


def main() -> None:
    url, base, folder, batches = sys.argv[1:]
    os.environ["TINKER_API_KEY"] = "tml-nobody-asks"
    tokenizer_utils.register_tokenizer(base, partial(_tokenizer, base))
    config = train.Config(
        learning_rate=1e-3,
        dataset_builder=SumsBuilder(base=base, batches=int(batches)),
        model_name=base,
        recipe_name="recipe_rl_basic",
        renderer_name=RENDERER,
        max_tokens=4,
        lora_rank=8,
        log_path=folder,
        eval_every=0,
        save_every=1,
        base_url=url,
    )
    asyncio.run(train.main(config))


if __name__ == "__main__":
    main()
