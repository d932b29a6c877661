"""Checks that a model's memory is given back; a program of a trainer's environment: `python hold_models.py FOLDER`.

The models are really dispatched: accelerate's hooks are on every module, and a part of the weights lies on the disk.
"""

import gc
import json
import sys
import weakref
from pathlib import Path
from typing import Any

import peft.peft_model
import torch
from accelerate import dispatch_model
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from cortex.models.loading import load_model, loaded

CONFIG = LlamaConfig(
    vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=4,
)  # fmt: skip
PLACES = {
    "model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "cpu", "model.layers.2": "disk",
    "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu",
}  # fmt: skip


def live() -> int:
    """Bytes of all tensors that Python can reach, whether or not anything but a cycle still refers to them."""
    tensors = [found for found in gc.get_objects() if issubclass(type(found), torch.Tensor)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if not t.is_meta}
    return sum(storages.values())


def dispatch(model: Any, aside: Path) -> weakref.ref[Any]:
    """Spread a model, run it once, and return a weak reference to one of its weights."""
    dispatch_model(model, dict(PLACES), main_device="cpu", offload_dir=str(aside), force_hooks=True)
    with torch.inference_mode():
        model(input_ids=torch.arange(8)[None])
    assert hasattr(model.model.layers[0].self_attn.q_proj, "_hf_hook")
    assert model.model.layers[2].self_attn.q_proj.weight.is_meta
    return weakref.ref(model.model.layers[0].self_attn.q_proj.weight)


def deleted(folder: Path) -> dict[str, Any]:
    """A dispatched model that is only deleted."""
    before = live()
    model: Any = load_model(folder)
    weight = dispatch(model, folder / "aside")
    held = live() - before
    del model
    return {"held": held, "left": live() - before, "weight lives": weight() is not None}


def released(folder: Path) -> dict[str, Any]:
    """The same, held by `loaded`, while the caller still has the variable."""
    before = live()
    with loaded(folder) as model:
        weight = dispatch(model, folder / "aside")
        held = live() - before
    return {"held": held, "left": live() - before, "weight lives": weight() is not None, "kept": type(model).__name__}


def failed(folder: Path) -> dict[str, Any]:
    """The same, ended by an error whose traceback still names the model."""
    before, held = live(), 0
    try:
        with loaded(folder) as model:
            dispatch(model, folder / "aside")
            held = live() - before
            raise ValueError("out of luck")
    except ValueError as error:
        return {"held": held, "left": live() - before, "reason": str(error)}


def adapted(folder: Path, *, merged: bool) -> dict[str, Any]:
    """An adapter on its base."""
    before = live()
    with loaded(folder / "adapter", base=str(folder), merged=merged) as model:
        held, kind = live() - before, type(model).__name__
    return {"held": held, "left": live() - before, "kept": kind}


def no_guess() -> str:
    raise AssertionError("PEFT chose the device for the adapter's file by itself")


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    plain = LlamaForCausalLM(CONFIG)
    plain.save_pretrained(folder)
    get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")).save_pretrained(
        folder / "adapter"
    )
    del plain
    gc.collect()
    gc.disable()  # so that no collection by chance decides
    peft.peft_model.infer_device = no_guess
    cases = {
        "released": released(folder),
        "failed": failed(folder),
        "adapter": adapted(folder, merged=False),
        "merged": adapted(folder, merged=True),
        "deleted": deleted(folder),
    }
    print(json.dumps(cases))


if __name__ == "__main__":
    main()
