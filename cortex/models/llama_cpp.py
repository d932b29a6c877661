"""llama.cpp with one GGUF file, on the CPU: token ids, logits along given tokens, and likeliest answers."""

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cyllama.llama.llama_cpp as native
import numpy as np

from cortex.models.gguf_file import UnfitError


class LlamaFile(native.LlamaModel):
    """A loaded GGUF file."""

    @property
    def n_vocab(self) -> int:
        """Size of the vocabulary, which the binding's context asks its model for, and which the model lacks."""
        return self.get_vocab().n_vocab


@contextmanager
def opened(file: Path) -> Generator[LlamaFile]:
    """Hold a GGUF file, mapped into memory: `with opened(file) as model:`.

    Raises:
        UnfitError: llama.cpp cannot load it.
    """
    native.set_log_callback(lambda level, text: None)
    wanted = native.LlamaModelParams()
    wanted.n_gpu_layers = 0
    wanted.use_extra_bufts = False  # each CPU has its own layouts of weights, and they are a second copy in memory
    try:
        model = LlamaFile(str(file), wanted)
    except (ValueError, RuntimeError) as error:
        raise UnfitError(f"llama.cpp cannot load {file.name}: {error}") from error
    try:
        yield model
    finally:
        model.close()


def token_ids(model: LlamaFile, text: str, *, as_prompt: bool = False) -> list[int]:
    """A text's tokens, special ones among them. `as_prompt` lets llama.cpp begin with the tokens that its file asks
    for, as Ollama does with a prompt."""
    return model.get_vocab().tokenize(text, as_prompt, True)


class Session:
    """One sequence of at most `tokens` tokens."""

    def __init__(self, model: LlamaFile, tokens: int, threads: int) -> None:
        wanted = native.LlamaContextParams()
        wanted.n_ctx = wanted.n_batch = tokens
        wanted.n_threads = wanted.n_threads_batch = threads
        self.vocabulary = model.n_vocab
        self._context = native.LlamaContext(model, wanted)
        self._batch = native.LlamaBatch(n_tokens=tokens, embd=0, n_seq_max=1)

    def close(self) -> None:
        """Free the memory of the sequence."""
        self._batch.close()
        self._context.close()

    def logits(self, ids: Sequence[int], count: int) -> Iterator[np.ndarray]:
        """The logits after each of the last `count` of these tokens: [vocabulary] in float64."""
        self._context.memory_seq_rm(0, 0, -1)
        self._read(ids, 0, count)
        for place in range(len(ids) - count, len(ids)):
            yield np.array(self._context.get_logits_ith(place))

    def answer(self, ids: Sequence[int], most: int, ends: Collection[int]) -> list[int]:
        """The likeliest tokens after these, one after another: at most `most`, up to the first of `ends`."""
        self._context.memory_seq_rm(0, 0, -1)
        self._read(ids, 0, 1)
        last, said = len(ids) - 1, list[int]()
        while True:
            said.append(int(np.argmax(self._context.get_logits_ith(last))))
            if said[-1] in ends or len(said) == most:
                return said
            self._read(said[-1:], len(ids) + len(said) - 1, 1)
            last = 0

    def _read(self, ids: Sequence[int], start: int, count: int) -> None:
        """Have the model read tokens from a position on, and keep the logits of the last `count`."""
        self._batch.clear()
        for place, token in enumerate(ids):
            self._batch.add(token, start + place, [0], place >= len(ids) - count)
        self._context.decode(self._batch)
