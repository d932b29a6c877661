"""Divergences measured one model at a time, beside a direct computation: a program of a trainer's environment.

`python compare_models.py FOLDER` prints both, and the largest sum of live tensors that the kit's way has come to.
"""

import gc
import json
import sys
import weakref
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaForCausalLM

from cortex.models.conversation import chat
from cortex.models.divergence import Exchange, divergence_from_copy, divergence_of_copy, store_log_probs
from cortex.models.loading import load_tokenizer, loaded
from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel
from tests.conversations import ask

VOCABULARY, BATCH = 40_000, 4
PROMPTS = ["flow up", "whales are calm and flow is down", "up", "down and down", "calm", "the flow is calm"]
ANSWERS = ["flow is up " * 12, "calm", "", "down " * 30, "up up up", "whales " * 7]


class Peak(TorchDispatchMode):
    """The most bytes that the tensors made under it have had at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, int] = {}
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in self.live:
                    self.live[storage.data_ptr()] = storage.nbytes()
                    weakref.finalize(storage, self.live.pop, storage.data_ptr(), None)
        self.most = max(self.most, sum(self.live.values()))
        return result


def direct(original: Path, copy: Path, exchange: Exchange) -> float:
    """The mean divergence, with both models and all tables in memory."""
    tokenizer = load_tokenizer(original)
    total, tokens = 0.0, 0
    with loaded(original) as one, loaded(copy) as other, torch.inference_mode():
        for prompt, answer in zip(exchange.prompts, exchange.answers, strict=True):
            asked = str(tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True))
            ids = tokenizer(asked + answer, return_tensors="pt", add_special_tokens=False)
            length = len(tokenizer(answer, add_special_tokens=False)["input_ids"])
            p, q = (torch.log_softmax(model(**ids).logits[0].double(), dim=-1) for model in (one, other))
            along = (p.exp() * (p - q)).sum(-1)
            total += float(along[len(along) - length - 1 : -1].sum()) if length else 0.0
            tokens += length
    return total / tokens


def stored(model: Path, folder: Path, exchange: Exchange) -> Path:
    with loaded(model) as held:
        store_log_probs(held, load_tokenizer(model), exchange, folder)
    return folder


def main() -> None:
    folder = Path(sys.argv[1])
    full, copy = folder / "full", folder / "copy"
    shape = ScratchModel(vocabulary=300, hidden_size=16, intermediate_size=16, layers=1, heads=1, context=256)
    build(shape, PROMPTS + ANSWERS, 0, full)
    model = LlamaForCausalLM.from_pretrained(full)
    model.resize_token_embeddings(VOCABULARY)
    model.save_pretrained(full)
    for weight in model.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    model.save_pretrained(copy)
    load_tokenizer(full).save_pretrained(copy)
    del model
    gc.collect()
    exchange = Exchange(ask(*PROMPTS), ANSWERS, BATCH)
    tokenizer = load_tokenizer(full)
    lengths = [len(tokenizer(answer, add_special_tokens=False)["input_ids"]) for answer in ANSWERS]
    with Peak() as peak:
        kept = stored(full, folder / "kept", exchange)
        with loaded(copy) as held:
            of_copy = divergence_of_copy(held, load_tokenizer(copy), exchange, kept)
        kept_copy = stored(copy, folder / "kept-copy", exchange)
        with loaded(full) as held:
            from_copy = divergence_from_copy(held, load_tokenizer(full), exchange, kept_copy)
    found = {
        "direct": direct(full, copy, exchange),
        "of copy": of_copy,
        "from copy": from_copy,
        "peak": peak.most,
        "batch table": BATCH * (max(lengths) + 1) * VOCABULARY * 4,
        "answer table": max(lengths) * VOCABULARY * 4,
        "weights": 16 * VOCABULARY * 4,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
