"""Answers from a model, in batches."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cortex.domains.question import Conversation
from cortex.models.bad_words import banned_tokens
from cortex.models.conversation import chat


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Conversation],
    *,
    batch_size: int,
    max_new_tokens: int,
    samples: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    bad_words: Sequence[str] = (),
    on_batch: Callable[[int, int], None] | None = None,
) -> list[list[str]]:
    """`samples` completions of each prompt, in the prompts' order; at temperature 0 the likeliest completion.

    Prompts of similar length share a batch. No completion has the tokens of `bad_words`. `on_batch` gets the number of
    prompts done and their total.
    """
    model.eval()
    texts: list[str] = [
        str(tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True))
        for prompt in prompts
    ]
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    answers: list[list[str]] = [[] for _ in texts]
    # Options left out come from the model's own generation_config.json: Llama's, for one, sets top_p to 0.9.
    sampling: dict[str, Any] = {"do_sample": False, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
    if temperature:
        sampling |= {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    if bad_words:
        sampling |= {"bad_words_ids": banned_tokens(bad_words, tokenizer)}
    torch.manual_seed(seed)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        encoded = tokenizer(
            [texts[index] for index in batch], return_tensors="pt", padding=True, add_special_tokens=False
        ).to(model.device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                max_new_tokens=max_new_tokens,
                num_return_sequences=samples,
                pad_token_id=tokenizer.pad_token_id,
                **sampling,
            )
        decoded = tokenizer.batch_decode(output[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
        for row, index in enumerate(batch):
            answers[index] = [text.strip() for text in decoded[row * samples : (row + 1) * samples]]
        if on_batch:
            on_batch(min(start + batch_size, len(order)), len(order))
    return answers
