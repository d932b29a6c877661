"""Loading a trained model, whether its folder holds all weights or an adapter, and letting go of it again."""

import gc
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate import dispatch_model, infer_auto_device_map
from accelerate.hooks import remove_hook_from_module
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from cortex.errors import DataError
from cortex.models.model_files import is_adapter

WEIGHTS_SHARE = 0.75
"""Share of a GPU's free memory for weights. Accelerate's default is nine tenths. For a model larger than the GPU, that
leaves too little for a batch: a layer on its way in, activations, the cache of keys and values, the logits."""


@contextmanager
def loaded(
    folder: str | Path,
    *,
    base: str | Path | None = None,
    device: str = "cpu",
    attention: str = "sdpa",
    on_host: bool = False,
    merged: bool = False,
) -> Generator[Any]:
    """Hold a model for reading: `with loaded(folder) as model:`. At its end the memory of the weights is free.

    It is freed even if the caller's variable, or a traceback, still refers to the model, then an empty shell.
    `on_host` keeps all weights in the host's memory, in the type that `device` asks for. `merged` folds an adapter
    into the weights.

    Raises:
        DataError: the folder holds an adapter and no base was given.
    """
    model = load_model(folder, base=base, device=device, attention=attention, on_host=on_host)
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
        # Removing a hook loads what it had offloaded, so this goes module by module, never all at once.
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
    on_host: bool = False,
) -> PreTrainedModel | PeftModel:
    """Load the weights in `folder`, or the adapter in it on top of `base`; in bf16 for a GPU, float32 for a CPU.

    For reading they are spread over the GPUs, and over the host's memory where these are too small; to be trained, or
    `on_host`, they are all in the host's memory.

    Raises:
        DataError: the folder holds an adapter and no base was given.
    """
    options: dict[str, Any] = {"attn_implementation": attention}
    options["dtype"] = torch.bfloat16 if device == "cuda" else torch.float32
    # Every model is first read into the host's memory, and then spread. Loaded with a device map instead, a quantized
    # copy would be decompressed on the GPU, where it no longer fits; and a base would be laid out again under its
    # adapter, in the little memory that its own weights leave free (`PeftModel.load_adapter`).
    model = _load_on_host(Path(folder), base, options, trainable=trainable)
    return _spread(model) if device == "cuda" and not trainable and not on_host else model


def _load_on_host(
    folder: Path, base: str | Path | None, options: Mapping[str, Any], *, trainable: bool
) -> PreTrainedModel | PeftModel:
    if _quantized(folder):
        return _load_in_full(folder, options)
    if not is_adapter(folder):
        return AutoModelForCausalLM.from_pretrained(str(folder), **options)
    if base is None:
        raise DataError(f"{folder} holds an adapter: its base model is needed too")
    whole = AutoModelForCausalLM.from_pretrained(str(base), **options)
    # By default PEFT has every rank read the adapter's file onto the first GPU
    # (github.com/huggingface/peft/issues/3793).
    return PeftModel.from_pretrained(whole, str(folder), is_trainable=trainable, torch_device="cpu")


def _quantized(folder: Path) -> bool:
    """True for a folder that holds a copy as llm-compressor writes it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False  # an adapter, or a hub's name
    return (config.get("quantization_config") or {}).get("quant_method") == "compressed-tensors"


def _load_in_full(copy: Path, options: Mapping[str, Any]) -> PreTrainedModel:
    """Load a quantized copy into the host's memory, its weights decompressed."""
    from compressed_tensors.offload import remove_dispatch  # only the quantize image has it
    from transformers import CompressedTensorsConfig

    quantization = CompressedTensorsConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(str(copy), quantization_config=quantization, **options)
    return remove_dispatch(model)  # its library moves weights by hooks of its own, which clash with accelerate's


def _spread(model: PreTrainedModel | PeftModel) -> PreTrainedModel | PeftModel:
    """Spread a model over the GPUs. Layers that do not fit stay in host memory and are copied to a GPU when used."""
    whole_modules = list(model._no_split_modules or ())
    places = infer_auto_device_map(model, _room(), no_split_module_classes=whole_modules)
    return dispatch_model(model, places, skip_keys=model._skip_keys_device_placement)


def _room() -> dict[int | str, int]:
    """The bytes of each GPU that weights may take, and of the host's memory.

    The host must be in the map, too: otherwise accelerate puts what does not fit onto the GPUs on the disk, which
    `dispatch_model` refuses without a folder for it.
    """
    gpus = {gpu: int(WEIGHTS_SHARE * torch.cuda.mem_get_info(gpu)[0]) for gpu in range(torch.cuda.device_count())}
    # All weights are in host memory already, so they fit, however little is free beside them.
    return {**gpus, "cpu": psutil.virtual_memory().total}


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer that pads on the left, as generation needs."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
    # A tokenizer saves how it was fetched, which differs between machines that are online and those that are not.
    tokenizer.init_kwargs.pop("local_files_only", None)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
