"""GPTQ through llm-compressor.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from datasets import Dataset
from llmcompressor import active_session, oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.transformers.utils import RECIPE_FILE_NAME
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cortex.errors import ConfigError
from cortex.models.loading import load_tokenizer, loaded
from cortex.profiles.export_section import Gptq


def gptq(
    source: Path, target: Path, wanted: Gptq, conversations: Sequence[list[dict[str, str]]], *, seed: int, device: str
) -> None:
    """Write a copy of the model in `source` with `wanted.bits` bits a weight, calibrated on conversations.

    The weights stay in the host's memory, and llm-compressor brings them onto the GPU, if there is one, layer by layer.

    Raises:
        ConfigError: the group size does not divide the model's layers.
    """
    with loaded(source, device=device, on_host=True) as model:
        _check_groups(model, wanted.group_size)
        try:
            _quantize(model, load_tokenizer(source), target, wanted, conversations, seed)
        finally:
            active_session().reset()  # it refers to the model, and to what calibrated it


def _quantize(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    target: Path,
    wanted: Gptq,
    conversations: Sequence[list[dict[str, str]]],
    seed: int,
) -> None:
    torch.manual_seed(seed)
    rows = [
        tokenizer.apply_chat_template(list(messages), tokenize=True, return_dict=True) for messages in conversations
    ]
    longest = max(len(row["input_ids"]) for row in rows)
    weights = {
        "num_bits": wanted.bits,
        "type": "int",
        "symmetric": True,
        "strategy": "group",
        "group_size": wanted.group_size,
    }
    recipe = GPTQModifier(config_groups={"linear": {"targets": ["Linear"], "weights": weights}}, ignore=["lm_head"])
    data = Dataset.from_list([{key: list(row[key]) for key in ("input_ids", "attention_mask")} for row in rows])
    oneshot(model=model, dataset=data, recipe=[recipe], max_seq_length=longest, num_calibration_samples=len(rows))
    model.save_pretrained(target, save_compressed=True)
    tokenizer.save_pretrained(target)
    # It was saved with Python's objects in it, which no safe reader takes, and which each Python writes in its own way.
    plain = json.loads(json.dumps(active_session().lifecycle.recipe.to_dict()))
    (target / RECIPE_FILE_NAME).write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")


def _check_groups(model: PreTrainedModel, group_size: int) -> None:
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head") and module.in_features % group_size:
            raise ConfigError(
                f"export.gptq: group_size {group_size} does not divide the {module.in_features} inputs of {name}: "
                "choose a group_size that divides the model's widths"
            )
