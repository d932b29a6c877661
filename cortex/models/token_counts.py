"""Counts of the tokens of prompts and answers, as a model's own tokenizer and chat template make them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cortex.domains.question import Conversation
from cortex.models.conversation import chat
from cortex.models.loading import load_tokenizer


def count_tokens(folder: str, prompts: Sequence[Conversation], answers: Sequence[str]) -> NDArray[np.int64]:
    """Tokens of N prompts and of N answers, these without the one that ends them (N x 2). `folder` is the model's."""
    tokenizer = load_tokenizer(folder)
    asked = [
        str(tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True))
        for prompt in prompts
    ]
    counted = [
        [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
        for texts in (asked, answers)
    ]
    return np.array(counted, dtype=np.int64).T


def count_text(folder: str, text: str) -> int:
    """Tokens of a text by the model's tokenizer, without those of a chat template."""
    return len(load_tokenizer(folder)(text, add_special_tokens=False)["input_ids"])
