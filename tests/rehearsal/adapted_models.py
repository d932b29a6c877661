"""A base and adapters of other weights, as a program: `python -m tests.rehearsal.adapted_models FOLDER`.

It fills the folder, and prints as JSON what transformers with PEFT answers greedily: for each model, a text a prompt.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.models.sampled import ADAPTERS, build, prompts

PROMPTS = prompts(4)
TOKENS = 24


def answer(folder: Path, name: str) -> list[str]:
    """The likeliest answers of the base, or of the base with an adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder / "base")
    model: Any = AutoModelForCausalLM.from_pretrained(folder / "base")
    if name != "base":
        model = PeftModel.from_pretrained(model, folder / name)
    texts: list[str] = []
    for prompt in PROMPTS:
        turns = [{"role": "user", "content": prompt}]
        asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        told = model.generate(**asked, do_sample=False, max_new_tokens=TOKENS)
        texts.append(tokenizer.decode(told[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


if __name__ == "__main__":
    made = Path(sys.argv[1])
    build(made)
    print(json.dumps({name: answer(made, name) for name in ("base", *ADAPTERS)}))
