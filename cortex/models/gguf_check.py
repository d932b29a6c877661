"""A GGUF copy run by llama.cpp, beside the model that it was made of: token ids, divergence and answers."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from cortex.domains.question import Conversation
from cortex.models.conversation import chat
from cortex.models.divergence import Exchange, stored_log_probs
from cortex.models.gguf_file import UnfitError
from cortex.models.llama_cpp import LlamaFile, Session, opened, token_ids


def check_tokens(
    model: LlamaFile, tokenizer: PreTrainedTokenizerBase, texts: Iterable[tuple[str, str]], *, as_prompt: bool
) -> None:
    """Return if llama.cpp reads texts as the tokenizer does.

    Each pair is the tokenizer's text, and llama.cpp's; `as_prompt`: the latter is sent as Ollama sends a prompt, which
    begins with the tokens that the file asks for.

    Raises:
        UnfitError: a text gets other tokens than those that the model was trained on, and so would other answers.
    """
    for text, sent in texts:
        expected, found = _ids(tokenizer, text), token_ids(model, sent, as_prompt=as_prompt)
        if found != expected:
            same = next((n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), len(expected))
            raise UnfitError(
                "llama.cpp splits text otherwise than the tokenizer, and the copy would answer to something else: "
                f"{text[:60]!r} differs from token {same} on"
            )


def divergence_in_llama(
    file: Path, tokenizer: PreTrainedTokenizerBase, exchange: Exchange, original: Path, threads: int
) -> float:
    """Mean of KL(original || copy) over the answers' tokens, in nats; the original's log-probabilities are stored.

    Raises:
        UnfitError: the file has another vocabulary than the original.
    """
    asked = [_prompt(tokenizer, prompt) for prompt in exchange.prompts]
    texts = [_ids(tokenizer, text + answer) for text, answer in zip(asked, exchange.answers, strict=True)]
    lengths = [len(_ids(tokenizer, answer)) for answer in exchange.answers]
    total = 0.0
    with opened(file) as model:
        session = Session(model, max(map(len, texts)), threads)
        for number, (ids, length) in enumerate(zip(texts, lengths, strict=True)):
            kept_TV = stored_log_probs(original, number).double().numpy()  # noqa: N806 - token, vocabulary
            if length and kept_TV.shape[1] != session.vocabulary:
                raise UnfitError(f"the file has {session.vocabulary} tokens, and the model {kept_TV.shape[1]}")
            for p_V, logits_V in zip(kept_TV, session.logits(ids[:-1], length), strict=True):  # noqa: N806
                total += float(np.sum(np.exp(p_V) * (p_V - _log_softmax(logits_V))))
        session.close()
    mean = total / max(1, sum(lengths))
    return 0.0 if mean < 0 else mean  # rounding makes it negative for two equal models; NaN stays NaN


def answers_in_llama(
    file: Path,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Conversation],
    *,
    max_new_tokens: int,
    ends: set[int],
    threads: int,
) -> list[str]:
    """The likeliest answer to each prompt; it ends before a token of `ends`, or with `max_new_tokens`."""
    asked = [_ids(tokenizer, _prompt(tokenizer, prompt)) for prompt in prompts]
    with opened(file) as model:
        session = Session(model, max(map(len, asked)) + max_new_tokens, threads)
        said = [session.answer(ids, max_new_tokens, ends) for ids in asked]
        session.close()
    return [str(tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in said]


def end_tokens(folder: Path, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end an answer of the model in `folder`: its generation settings', or else its tokenizer's."""
    file = folder / "generation_config.json"
    named = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id") if file.is_file() else None
    ends = [tokenizer.eos_token_id] if named is None else named if isinstance(named, list) else [named]
    return {int(end) for end in ends if end is not None}


def _prompt(tokenizer: PreTrainedTokenizerBase, prompt: Conversation) -> str:
    return str(tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True))


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _log_softmax(logits_V: np.ndarray) -> np.ndarray:  # noqa: N803
    above = logits_V - logits_V.max()
    return above - np.log(np.exp(above).sum())
