"""Loading a trained model, whether its folder holds all weights or an adapter, and letting go of it again."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.hooks import remove_hook_from_module
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from cortex.errors import DataError

ADAPTER_FILE = "adapter_config.json"


@contextmanager
def loaded(
    folder: str | Path,
    *,
    base: str | Path | None = None,
    device: str = "cpu",
    attention: str = "sdpa",
    merged: bool = False,
) -> Generator[PreTrainedModel | PeftModel]:
    """Hold a model for reading: `with loaded(folder) as model:`. At its end the memory of the weights is free.

    That holds although the caller's variable, or a traceback, still names the model, which is an empty shell then.
    `merged` folds an adapter into the weights.

    Raises:
        DataError: the folder holds an adapter and no base was given.
    """
    model = load_model(folder, base=base, device=device, attention=attention)
    shell = model
    try:
        yield model.merge_and_unload() if merged and isinstance(model, PeftModel) else model
    finally:
        free(shell)


def free(model: torch.nn.Module) -> None:
    """Give back the memory of a model's weights, whoever still refers to the model.

    Over several GPUs, or with weights kept in the host's memory, accelerate hooks every module's `forward`. These hooks
    and their modules refer to each other, so that `del` alone frees nothing until Python happens to collect cycles,
    by when the next model may have run out of memory.
    """
    for module in model.modules():
        # A hook that ends loads what it had offloaded: module by module, never all of them at once.
        remove_hook_from_module(module)
        module._parameters.clear()
        module._buffers.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def load_model(
    folder: str | Path,
    *,
    base: str | Path | None = None,
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
    whole = AutoModelForCausalLM.from_pretrained(str(base), **options)
    # The adapter's file is read into the host's memory: by itself PEFT has every rank read it onto the first GPU
    # (github.com/huggingface/peft/issues/3793).
    return PeftModel.from_pretrained(whole, str(folder), is_trainable=trainable, torch_device="cpu")


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer that pads on the left, as generation needs."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def chat(prompt: str) -> list[dict[str, str]]:
    """A prompt as the conversation that every stage gives to the chat template."""
    return [{"role": "user", "content": prompt}]
