"""GPTQ through llm-compressor, and how far a copy's predictions are from the original's.

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
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from cortex.errors import ConfigError
from cortex.runs.profile import Gptq
from cortex.training.models import chat, load_tokenizer


def gptq(source: Path, target: Path, wanted: Gptq, conversations: Sequence[list[dict[str, str]]], seed: int) -> None:
    """Write a copy of the model in `source` with `wanted.bits` bits a weight, calibrated on conversations.

    Raises:
        ConfigError: the group size does not divide the model's layers.
    """
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    _check_groups(model, wanted.group_size)
    tokenizer = load_tokenizer(source)
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


def mean_divergence(
    full: PreTrainedModel,
    copy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[str],
    batch_size: int,
) -> float:
    """Mean of KL(full || copy) over the next-token distributions along the answers, in nats per token."""
    total, tokens = 0.0, 0
    for start in range(0, len(prompts), batch_size):
        pairs = list(zip(prompts[start : start + batch_size], answers[start : start + batch_size], strict=True))
        asked = [
            str(tokenizer.apply_chat_template(chat(p), tokenize=False, add_generation_prompt=True)) for p, _ in pairs
        ]
        whole = [text + answer for text, (_, answer) in zip(asked, pairs, strict=True)]
        encoded = tokenizer(whole, return_tensors="pt", padding=True, add_special_tokens=False)
        lengths = [len(tokenizer(answer, add_special_tokens=False)["input_ids"]) for _, answer in pairs]
        with torch.inference_mode():
            p, q = (
                torch.log_softmax(model(**encoded.to(model.device)).logits.float(), dim=-1) for model in (full, copy)
            )
        divergence_BT = (p.exp() * (p - q.to(p.device))).sum(-1)  # noqa: N806 - batch, token
        for row, length in enumerate(lengths):  # padding is on the left, so answers end the rows
            total += float(divergence_BT[row, -length - 1 : -1].sum()) if length else 0.0
            tokens += length
    return total / max(1, tokens)


def _check_groups(model: PreTrainedModel, group_size: int) -> None:
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head") and module.in_features % group_size:
            raise ConfigError(
                f"export.gptq: group_size {group_size} does not divide the {module.in_features} inputs of {name}: "
                "choose a group_size that divides the model's widths"
            )
