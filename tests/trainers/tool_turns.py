"""A program of the grpo image: TRL's dialogues with tools beside the evaluation's, token by token: `... FOLDER`.

In the model's place a script answers, which reads nothing but the tokens that TRL hands to the model.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig

from cortex.domains.episode import Dialogue, hold
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Message, Question
from cortex.domains.tools.domain import Tools
from cortex.models.conversation import chat
from cortex.models.dialogues import cut_the_longest
from cortex.models.loading import load_model, load_tokenizer
from cortex.models.sampling import SampledModel
from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel
from cortex.settings import Settings
from cortex.trainers.grpo_program import reward_function
from cortex.trainers.grpo_trainer import KitGRPOTrainer
from cortex.trainers.tool_rollouts import tool_inputs
from cortex.trainers.tool_world import spoken

FOLDER = Path(sys.argv[1])
KINDS = ("calculator", "search", "price", "change", "trading_days", "sql")
DOMAINS = [
    Tools.model_validate(
        {"kind": "tools", "style": style, "questions": dict.fromkeys(KINDS, 1), "examples": 60, "faults": 0.2}
    )
    for style in ("compact", "full")
]
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", re.DOTALL)


def say(domain: Tools, prompts: list[Conversation]) -> list[str]:
    """The script's turns, some of which make mistakes in their calls."""
    said: list[str] = []
    for prompt in prompts:
        text = domain.script(Question("", prompt), 0)
        odd = sum(prompt[-1].content.encode()) % 3 == 0
        said.append(text.replace("</", "<") + " é" if odd and "call>" in text else text)
    return said


class Scripted(KitGRPOTrainer):
    """The trainer, with a script in the model's place."""

    said: Tools

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        texts = [self.processing_class.decode(ids) for ids in prompt_ids]
        prompts = [tuple(Message(role, content) for role, content in TURN.findall(text)) for text in texts]
        tokenizer = self.processing_class
        replies = [tokenizer(text + tokenizer.eos_token, add_special_tokens=False) for text in say(self.said, prompts)]
        return [reply["input_ids"] for reply in replies], None


def compare(domain: Tools) -> dict[str, Any]:
    examples = list(read_rows(domain.build(0, Settings()).examples))
    rows = [
        {"prompt": chat(each.messages), "example_id": each.id, "truth": json.dumps(each.truth)} for each in examples
    ]
    tokenizer = load_tokenizer(FOLDER)
    arguments = GRPOConfig(
        output_dir=str(FOLDER / "out"), max_completion_length=4000, use_cpu=True, bf16=False, report_to=[]
    )
    trainer = Scripted(
        domain=domain,
        samples=None,
        model=load_model(FOLDER, trainable=True),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        reward_funcs=[reward_function(domain)],
        args=arguments,
        **tool_inputs(domain, arguments, tokenizer),
    )
    trainer.said = domain
    trainer.reset_worlds(rows)
    prompt_ids, completion_ids, mask, completions, *_ = trainer._generate([row["prompt"] for row in rows])
    held = hold(
        [Dialogue(each.messages, domain.episode(each)) for each in examples], lambda prompts: say(domain, prompts)
    )
    whole = [
        tokenizer.apply_chat_template(chat((*each.messages, *turns)), tokenize=False).removesuffix("\n")
        for each, turns in zip(examples, held, strict=True)
    ]
    ours = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in whole]
    theirs = [first + then for first, then in zip(prompt_ids, completion_ids, strict=True)]
    trained = [
        tokenizer.decode([token for token, own in zip(ids, masks, strict=True) if own])
        for ids, masks in zip(completion_ids, mask, strict=True)
    ]
    own = ["".join(f"{turn.content}<|im_end|>" for turn in turns if turn.role == "assistant") for turns in held]
    return {
        "same tokens": sum(map(list.__eq__, ours, theirs)),
        "same turns": sum(spoken(said) == turns for said, turns in zip(completions, held, strict=True)),
        "only the model's turns are trained": trained == own,
        "dialogues": len(examples),
        "calls": sum(len(turns) > 1 for turns in held),
        "mistakes": sum("error: the call does not end" in turn.content for turns in held for turn in turns),
    }


def cut() -> list[tuple[bool, int]]:
    """Dialogues with little and with much in them, after those that leave no room have ended."""
    [example, *_] = read_rows(DOMAINS[0].build(0, Settings()).examples)
    dialogues = [Dialogue(example.messages, DOMAINS[0].episode(example)) for _ in range(2)]
    for dialogue, text in zip(dialogues, ("", "long " * 4096), strict=True):
        dialogue.reply(f"{text}<call> calculator 1 </call>")
    cut_the_longest(SampledModel("sft", str(FOLDER), None, ("sft",)), dialogues)
    return [(dialogue.open, len(dialogue.turns)) for dialogue in dialogues]


def main() -> None:
    shape = ScratchModel(vocabulary=400, hidden_size=32, intermediate_size=64, layers=1, heads=2, context=4096)
    build(shape, [text for domain in DOMAINS for text in domain.build(0, Settings()).examples["truth"]], 0, FOLDER)
    print(json.dumps({**{domain.style: compare(domain) for domain in DOMAINS}, "cut": cut()}))


if __name__ == "__main__":
    main()
