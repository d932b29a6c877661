"""Divergence of one model's predictions from another's along given answers, with one model in memory at a time.

The first model's log-probabilities over the whole vocabulary, at every token of the answers, go to the disk; then the
model can be freed. Memory is bounded: the model's output of batch x (longest answer + 1) x vocabulary in its own type,
and at most six tables of tokens x vocabulary in float32, for the one answer being compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import kl_div
from transformers import PreTrainedTokenizerBase

from cortex.domains.question import Conversation
from cortex.models.conversation import chat


@dataclass(frozen=True)
class Exchange:
    """Prompts with the answers to them, along which models are compared."""

    prompts: Sequence[Conversation]
    answers: Sequence[str]
    batch_size: int


def store_log_probs(model: Any, tokenizer: PreTrainedTokenizerBase, exchange: Exchange, folder: Path) -> None:
    """Write a model's log-probabilities along the answers: a file of [tokens, vocabulary] in float32 for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, logits_TV in enumerate(_answer_logits(model, tokenizer, exchange)):  # noqa: N806 - token, vocabulary
        save_file({_KEY: torch.log_softmax(logits_TV.float(), dim=-1).cpu()}, _file(folder, number))


def divergence_of_copy(model: Any, tokenizer: PreTrainedTokenizerBase, exchange: Exchange, original: Path) -> float:
    """Mean of KL(original || model) over the answers' tokens, in nats; the original's log-probabilities are stored."""
    return _mean(model, tokenizer, exchange, original, model_is_copy=True)


def divergence_from_copy(model: Any, tokenizer: PreTrainedTokenizerBase, exchange: Exchange, copy: Path) -> float:
    """Mean of KL(model || copy) over the answers' tokens, in nats; the copy's log-probabilities are stored."""
    return _mean(model, tokenizer, exchange, copy, model_is_copy=False)


def stored_log_probs(folder: Path, number: int, device: str = "cpu") -> torch.Tensor:
    """Log-probabilities that `store_log_probs` wrote of one answer: [tokens, vocabulary] in float32."""
    return load_file(_file(folder, number), device=device)[_KEY]


_KEY = "log_probs"


def _mean(
    model: Any, tokenizer: PreTrainedTokenizerBase, exchange: Exchange, stored: Path, *, model_is_copy: bool
) -> float:
    total, tokens = 0.0, 0
    for number, logits_TV in enumerate(_answer_logits(model, tokenizer, exchange)):  # noqa: N806
        here_TV = torch.log_softmax(logits_TV.float(), dim=-1)  # noqa: N806
        kept_TV = stored_log_probs(stored, number, str(here_TV.device))  # noqa: N806
        p_TV, q_TV = (kept_TV, here_TV) if model_is_copy else (here_TV, kept_TV)  # noqa: N806
        total += float(kl_div(q_TV, p_TV, log_target=True, reduction="none").sum(-1).double().sum())
        tokens += len(logits_TV)
    mean = total / max(1, tokens)
    return 0.0 if mean < 0 else mean  # rounding makes it negative for two equal models; NaN stays NaN


def _answer_logits(model: Any, tokenizer: PreTrainedTokenizerBase, exchange: Exchange) -> Iterator[torch.Tensor]:
    """For each answer in turn the logits that predict its tokens: [tokens, vocabulary], in the model's own type."""
    size = exchange.batch_size
    for start in range(0, len(exchange.prompts), size):
        prompts, answers = exchange.prompts[start : start + size], exchange.answers[start : start + size]
        asked = [
            str(tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True))
            for prompt in prompts
        ]
        whole = [text + answer for text, answer in zip(asked, answers, strict=True)]
        encoded = tokenizer(whole, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        lengths = [len(tokenizer(answer, add_special_tokens=False)["input_ids"]) for answer in answers]
        with torch.inference_mode():
            # Padding is on the left, so rows end with the answers: the head is computed for these positions only.
            output = model(**encoded, logits_to_keep=max(lengths) + 1, use_cache=False)
        logits_BTV = output.logits  # noqa: N806
        del output
        for row, length in enumerate(lengths):
            yield logits_BTV[row, -length - 1 : -1]
        del logits_BTV


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.safetensors"
