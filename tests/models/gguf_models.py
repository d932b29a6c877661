"""GGUF files of small models, as asked for and not: a program of the quantize image.

`python gguf_models.py FOLDER` prints, for each case, what was made of it, or why it was refused.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cortex.domains.example_columns import read_rows
from cortex.domains.question import Message
from cortex.errors import DataError
from cortex.models.divergence import Exchange, store_log_probs
from cortex.models.generate import generate
from cortex.models.gguf_check import answers_in_llama, divergence_in_llama, end_tokens
from cortex.models.gguf_copy import GgufSource
from cortex.models.gguf_file import FILE, tensor_types
from cortex.models.llama_cpp import opened
from cortex.models.loading import loaded
from cortex.models.scratch import build
from cortex.profiles.export_section import Gguf
from cortex.profiles.profile_sections import ScratchModel
from tests.domains.gym.asking import gym, rows

MARKETS = [f"flow:{level} whales:{-level} is 0.{level}5\n<think>It's {level}.5, up</think>" for level in range(-3, 4)]
MATHS = [example.text for example in read_rows(rows(gym({"spell_backward": {}, "chain_sum": {}}, examples=60)))]
ASKED = [*MARKETS, *MATHS[:20], "  Upper, lower — naïve é\t\n\n 漢字 🚀 12345 it's"]


def build_model(folder: Path, width: int, inner: int, pieces: str = "gpt2") -> Path:
    """A model whose weights are drawn wide: with those of a fresh one, each token is followed by itself."""
    sizes = {"vocabulary": 600, "hidden_size": width, "intermediate_size": inner, "layers": 2, "heads": 4}
    build(ScratchModel.model_validate({**sizes, "context": 512, "pieces": pieces}), MARKETS + MATHS, 0, folder)
    with loaded(folder) as model:
        torch.manual_seed(1)
        for weights in model.model.layers.parameters():
            if weights.dim() == 2:
                torch.nn.init.normal_(weights, std=0.1)
        model.save_pretrained(folder)
    return folder


def source(folder: Path) -> GgufSource:
    """The model's file, and the domains' texts as an exchange."""
    prompts = [(Message("system", "Be short."), Message("user", text)) for text in ASKED]
    return GgufSource.make(folder, folder / "aside", Exchange(prompts, [text[-9:] for text in ASKED], 4), "small")


def made(folder: Path, kind: str, tensors: dict[str, str] | None = None) -> dict[str, int]:
    """The types of a copy's tensors, once llama.cpp has read the exchange as the tokenizer does."""
    target = folder / f"copy-{kind}"
    target.mkdir(exist_ok=True)
    wanted = Gguf.model_validate({"type": kind, "tensors": tensors or {}, "max_kl": 1.0, "max_loss_rise": None})
    source(folder).copy(target, wanted, 2, {})
    return tensor_types(target / FILE)


def compared(folder: Path) -> dict[str, Any]:
    """The file before it is quantized beside its model: it predicts and answers the same."""
    whole = source(folder)
    few = Exchange(whole.exchange.prompts[::6], whole.exchange.answers[::6], 4)
    with loaded(folder) as model:
        store_log_probs(model, whole.tokenizer, few, folder / "log-probs")
        expected = [said[0] for said in generate(model, whole.tokenizer, few.prompts, batch_size=2, max_new_tokens=5)]
    ends = end_tokens(folder, whole.tokenizer)
    found = answers_in_llama(whole.file, whole.tokenizer, few.prompts, max_new_tokens=5, ends=ends, threads=2)
    kl = divergence_in_llama(whole.file, whole.tokenizer, few, folder / "log-probs", 2)
    return {"kl": kl, "answers": [expected, found]}


def lowercased(folder: Path) -> dict[str, int]:
    """A tokenizer that changes texts first, of which llama.cpp knows nothing."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    changed = json.dumps(tokenizer | {"normalizer": {"type": "Lowercase"}})
    (folder / "tokenizer.json").write_text(changed, encoding="utf-8")
    return made(folder, "q8_0")


def cut(folder: Path) -> None:
    """Half of a file."""
    whole = source(folder).file.read_bytes()
    (folder / "half.gguf").write_bytes(whole[: len(whole) // 2])
    with opened(folder / "half.gguf"):
        pass


def main(folder: Path) -> None:
    narrow, wide = build_model(folder / "narrow", 64, 64), build_model(folder / "wide", 256, 256)
    cases: dict[str, Callable[[], Any]] = {
        "as it is": lambda: compared(wide),
        "rows of 64": lambda: made(narrow, "q4_k_m"),
        "rows of 64 in 8 bits": lambda: made(narrow, "q8_0"),
        "some rows of 64": lambda: made(build_model(folder / "mixed", 64, 256), "q4_k_m"),
        "a type for rows of 64": lambda: made(narrow, "q8_0", {"attn_v": "q6_k"}),
        "no such tensor": lambda: made(wide, "q8_0", {"attn_w": "q6_k"}),
        "two types": lambda: made(wide, "q8_0", {"attn": "q6_k", "attn_v": "q4_k"}),
        "pieces of words": lambda: made(build_model(folder / "words", 64, 64, "words"), "q8_0"),
        "half a file": lambda: cut(wide),
        "texts changed": lambda: lowercased(narrow),
    }
    found: dict[str, Any] = {}
    for name, case in cases.items():
        try:
            found[name] = case()
        except DataError as error:
            found[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
