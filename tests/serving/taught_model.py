"""A small model that has learnt a few answers by heart, as a GGUF copy: a program of the quantize image.

`python taught_model.py FOLDER` reads pairs of prompts and answers from standard input, as JSON. It fills FOLDER/copy,
and prints the answers that llama.cpp gives when it judges the copy.
"""

import json
import sys
from pathlib import Path

import torch

from cortex.domains.question import Conversation, Message
from cortex.models.conversation import chat
from cortex.models.divergence import Exchange
from cortex.models.gguf_check import answers_in_llama, end_tokens
from cortex.models.gguf_copy import GgufSource
from cortex.models.gguf_file import FILE
from cortex.models.loading import load_tokenizer, loaded
from cortex.models.scratch import build
from cortex.profiles.export_section import Gguf
from cortex.profiles.profile_sections import ScratchModel

STEPS = 120
SHAPE = {"vocabulary": 600, "hidden_size": 256, "intermediate_size": 256, "layers": 2, "heads": 4, "context": 4096}


def teach(folder: Path, prompts: list[Conversation], answers: list[str]) -> None:
    """Train until the model knows the answers, so that a rounding error changes none of them."""
    tokenizer = load_tokenizer(folder)
    said = [{"role": "assistant", "content": answer} for answer in answers]
    texts = [
        str(tokenizer.apply_chat_template([*chat(prompt), answer], tokenize=False))
        for prompt, answer in zip(prompts, said, strict=True)
    ]
    batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
    wanted = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    torch.manual_seed(0)
    with loaded(folder) as model:
        model.train()
        steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(STEPS):
            loss = model(**batch, labels=wanted).loss
            loss.backward()
            steps.step()
            steps.zero_grad()
        model.save_pretrained(folder)


def main(folder: Path) -> None:
    pairs: list[tuple[str, str]] = json.load(sys.stdin)
    prompts: list[Conversation] = [(Message("user", prompt),) for prompt, _ in pairs]
    answers = [answer for _, answer in pairs]
    shape = ScratchModel.model_validate({**SHAPE, "pieces": "gpt2"})
    build(shape, [text for pair in pairs for text in pair], 0, folder / "model")
    teach(folder / "model", prompts, answers)
    source = GgufSource.make(folder / "model", folder / "aside", Exchange(prompts, answers, 4), "taught")
    (folder / "copy").mkdir()
    wanted = Gguf.model_validate({"type": "q4_k_m", "max_kl": 1.0, "max_loss_rise": None})
    source.copy(folder / "copy", wanted, 2, {})
    ends = end_tokens(folder / "model", source.tokenizer)
    file = folder / "copy" / FILE
    print(json.dumps(answers_in_llama(file, source.tokenizer, prompts, max_new_tokens=200, ends=ends, threads=2)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
