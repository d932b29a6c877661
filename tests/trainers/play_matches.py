"""Games that the GRPO trainer plays for both sides, as a program of the grpo image: `... FOLDER`.

A scripted player gives three replies of four, and random weights the others. The last line has each row's seat, text,
trained texts and reward, and the tokens' agreement with those of the conversation when it is rendered whole.
"""

import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig

from cortex.domains.games.domain import Games
from cortex.domains.games.nim import Nim
from cortex.domains.question import Message, Question
from cortex.models.loading import load_model, load_tokenizer
from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel
from cortex.trainers.episode_rollouts import EpisodeRollouts
from cortex.trainers.grpo_program import reward_function
from cortex.trainers.grpo_trainer import KitGRPOTrainer

FOLDER = Path(sys.argv[1])
DOMAIN = Games(game=Nim(style="compact", heaps=2, largest=9))
TURN = re.compile(r"<\|im_start\|>(user|assistant)\n(.*?)<\|im_end\|>", re.DOTALL)


class Helped(KitGRPOTrainer):
    """The trainer, most of whose replies a script gives."""

    def sample_turns(self, prompts: list[list[int]]) -> tuple[list[list[int]], list[list[float]] | None]:
        made, logprobs = super().sample_turns(prompts)
        for at, prompt in enumerate(prompts):
            if at % 4:
                asked = TURN.findall(self.processing_class.decode(prompt))[-1][1]
                reply = DOMAIN.script(Question("", (Message("user", asked),)), seed=at)
                tokens = self.processing_class.encode(reply, add_special_tokens=False)
                made[at] = [*tokens, self.processing_class.eos_token_id]
        return made, logprobs


class Kept(EpisodeRollouts):
    """Rollouts that are kept for a look at them."""

    def __call__(self, prompts: Any, trainer: KitGRPOTrainer) -> dict[str, Any]:
        self.made = super().__call__(prompts, trainer)
        return self.made


def main() -> None:
    numbers = [str(number) for number in range(10)]
    corpus = ["user\n", "assistant\n", *(f"{a} {b}" for a in (*numbers, "a", "b") for b in numbers)] * 3
    shape = ScratchModel(vocabulary=320, hidden_size=32, intermediate_size=64, layers=1, heads=2, context=96)
    build(shape, corpus, 0, FOLDER)
    tokenizer: Any = load_tokenizer(FOLDER)
    rows = [
        {"prompt": [{"role": "user", "content": f"{a} {b}"}], "example_id": f"{a}-{b}", "truth": "{}"}
        for a, b in ((5, 7), (9, 2), (3, 8), (6, 1))
    ]
    arguments = GRPOConfig(
        output_dir=str(FOLDER / "saved"),
        per_device_train_batch_size=32,
        num_generations=8,
        max_completion_length=60,
        max_steps=1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to=[],
    )
    rollouts = Kept(DOMAIN)
    trainer = Helped(
        domain=DOMAIN,
        samples=None,
        reward_funcs=[reward_function(DOMAIN)],
        args=arguments,
        model=load_model(FOLDER, trainable=True),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        rollout_func=rollouts,
    )
    trainer.train()
    print(json.dumps([_row(tokenizer, rollouts.made, at) for at in range(32)]))


def _row(tokenizer: Any, made: dict[str, Any], at: int) -> dict[str, Any]:
    tokens = made["prompt_ids"][at] + made["completion_ids"][at]
    text = tokenizer.decode(tokens)
    whole = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in TURN.findall(text)], tokenize=True, return_dict=False
    )
    masked = zip(made["completion_ids"][at], made["env_mask"][at], strict=True)
    trained = [
        tokenizer.decode([token for token, _ in run]) for own, run in groupby(masked, key=lambda pair: pair[1]) if own
    ]
    return {
        "seat": made["seat"][at],
        "text": text,
        "trained": trained,
        "reward": made["answer"][at].reward,
        "as rendered": whole[: len(tokens)] == tokens,
    }


if __name__ == "__main__":
    main()
