"""A reward model: a model whose output is one score of a whole conversation, in place of a next token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from cortex.errors import DataError
from cortex.models.model_files import is_adapter

_HEAD = "score"
"""The layer that computes the score, in transformers' families."""


def load_to_train(
    folder: Path, *, base: str | None, device: str, attention: str, adapter: Mapping[str, Any] | None
) -> PreTrainedModel | PeftModel:
    """A language model as the start of a reward model: its layers, and a head drawn from PyTorch's random generator.

    `adapter` holds the arguments of `peft.LoraConfig`: with it a new adapter and the head train, and where `folder`
    holds an adapter, the new one starts as that.

    Raises:
        DataError: the folder holds an adapter, and no base was given.
    """
    model = _with_head(_whole(folder, base), device, attention)
    if adapter is None:
        return model
    config = LoraConfig(**{**adapter, "task_type": "SEQ_CLS", "modules_to_save": [_HEAD]})
    adapted = get_peft_model(model, config)
    if is_adapter(folder):
        set_peft_model_state_dict(adapted, load_peft_weights(str(folder), device="cpu"))
    return adapted


def load_to_score(folder: Path, *, base: str | None, device: str, attention: str) -> PreTrainedModel:
    """A trained reward model, an adapter merged into it.

    Raises:
        DataError: the folder holds an adapter, and no base was given.
    """
    model = _with_head(_whole(folder, base), device, attention)
    if is_adapter(folder):
        adapted = PeftModel.from_pretrained(model, str(folder), torch_device="cpu")
        model = adapted.merge_and_unload().to(_precision(device))  # PEFT holds adapter and head in float32
    return model.eval().requires_grad_(False)


class LearnedReward:
    """A reward model as a reward function of TRL: conversations in, scores out."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: int) -> None:
        """`batch` answers are scored at once."""
        self.__name__ = "reward_model"  # TRL names metrics by it
        self._model, self._tokenizer, self._batch = model, tokenizer, batch
        model.config.get_text_config().pad_token_id = (
            tokenizer.pad_token_id
        )  # the score is that of the last other token

    def __call__(self, prompts: Sequence[list[Any]], completions: Sequence[list[Any]], **_: Any) -> list[float]:
        texts = [
            str(self._tokenizer.apply_chat_template([*prompt, *completion], tokenize=False))
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        return [
            score for start in range(0, len(texts), self._batch) for score in self._scores(texts[start:][: self._batch])
        ]

    def to(self, device: torch.device) -> None:
        """Move the model to the device that trains."""
        self._model.to(device)  # pyright: ignore[reportArgumentType]

    def _scores(self, texts: list[str]) -> list[float]:
        inputs = self._tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False
        ).to(self._model.device)
        with torch.inference_mode():
            return (
                self._model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
                .logits[:, 0]
                .float()
                .tolist()
            )


def _whole(folder: Path, base: str | None) -> str:
    """The folder of all weights below the head."""
    if not is_adapter(folder):
        return str(folder)
    if base is None:
        raise DataError(f"{folder} holds an adapter: its base model is needed too")
    return base


def _precision(device: str) -> torch.dtype:
    return torch.bfloat16 if device == "cuda" else torch.float32


def _with_head(folder: str, device: str, attention: str) -> PreTrainedModel:
    return AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=_precision(device), attn_implementation=attention
    )
