"""A tiny base, and an adapter on it, both drawn at random: `python -m tests.rehearsal.exported build FOLDER`.

`spread COPY ASIDE` loads a quantized copy, spreads it over the host's memory and a folder, and runs it.
"""

import json
import sys
from pathlib import Path

import torch
from accelerate import dispatch_model
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, set_seed

from cortex.models.loading import load_tokenizer, loaded
from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel

WORDS = "flow whales price volume rises falls holds calm up down 0.1 0.5 0.9"


def spread(copy: Path, aside: Path) -> dict[str, bool]:
    """Checks of a loaded copy: its weights are whole, and its answers the same however it is spread."""
    tokens = torch.arange(8)[None]
    with loaded(copy) as model:
        names = {name.rpartition(".")[2] for name, _ in model.named_parameters()}
        with torch.inference_mode():
            expected = model(input_ids=tokens).logits
            places = {"model.layers.0": "disk", "model.layers.1": "cpu", "model.embed_tokens": "cpu"}
            places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
            dispatch_model(model, places, main_device="cpu", offload_dir=str(aside), force_hooks=True)
            found = model(input_ids=tokens).logits
    return {"in full": "weight_packed" not in names, "alike": bool(torch.equal(expected, found))}


def build_both(folder: Path) -> None:
    # K-quants need rows of a multiple of 256, and llama.cpp knows GPT-2's pieces alone.
    shape = ScratchModel(
        vocabulary=400, hidden_size=256, intermediate_size=256, layers=2, heads=4, context=512, pieces="gpt2"
    )
    build(shape, [WORDS], 0, folder / "base")
    set_seed(1)
    # The adapter is drawn at random, too: a fresh one would change nothing.
    lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder / "base"), lora)
    model.save_pretrained(folder / "trained" / "model")
    load_tokenizer(folder / "base").save_pretrained(folder / "trained" / "model")


def main() -> None:
    match sys.argv[1:]:
        case ["spread", copy, aside]:
            print(json.dumps(spread(Path(copy), Path(aside))))
        case [_, folder]:
            build_both(Path(folder))


if __name__ == "__main__":
    main()
