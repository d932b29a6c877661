"""Loading a trained model, whether its folder holds all weights or an adapter."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from cortex.errors import DataError

ADAPTER_FILE = "adapter_config.json"


def load_model(
    folder: str | Path,
    *,
    base: str | None = None,
    device: str = "cpu",
    attention: str = "sdpa",
    trainable: bool = False,
) -> PreTrainedModel | PeftModel:
    """Load the weights in `folder`, or the adapter in it on top of `base`; in bf16 on a GPU, float32 on a CPU.

    Raises:
        DataError: the folder holds an adapter and no base was given.
    """
    options: dict[str, Any] = {"attn_implementation": attention}
    options["dtype"] = torch.bfloat16 if device == "cuda" else torch.float32
    if device == "cuda" and not trainable:
        options["device_map"] = "auto"
    if not (Path(folder) / ADAPTER_FILE).is_file():
        return AutoModelForCausalLM.from_pretrained(str(folder), **options)
    if base is None:
        raise DataError(f"{folder} holds an adapter: its base model is needed too")
    whole = AutoModelForCausalLM.from_pretrained(base, **options)
    return PeftModel.from_pretrained(whole, str(folder), is_trainable=trainable)


def load_merged(folder: Path, *, base: str | None, device: str) -> PreTrainedModel:
    """Load a model with its adapter, if it has one, folded into the weights."""
    model = load_model(folder, base=base, device=device)
    if isinstance(model, PeftModel):
        return model.merge_and_unload()  # type: ignore[no-any-return]
    return model


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer that pads on the left, as generation needs."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def chat(prompt: str) -> list[dict[str, str]]:
    """A prompt as the conversation that every stage gives to the chat template."""
    return [{"role": "user", "content": prompt}]
