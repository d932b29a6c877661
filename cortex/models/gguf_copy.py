"""A GGUF copy's folder: the file, and a Modelfile where Ollama can be told the chat template."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from transformers import PreTrainedTokenizerBase

from cortex.models.conversation import chat
from cortex.models.divergence import Exchange
from cortex.models.gguf_check import check_tokens, end_tokens
from cortex.models.gguf_file import FILE as WEIGHTS
from cortex.models.gguf_file import convert, quantize
from cortex.models.llama_cpp import LlamaFile, opened
from cortex.models.loading import load_tokenizer
from cortex.models.modelfile import FILE, Turns, UntranslatableError, chat_pieces, check_pieces, modelfile
from cortex.profiles.export_section import Gguf


@dataclass(frozen=True)
class GgufSource:
    """The model that GGUF copies are made of: its folder, and the same weights as one GGUF file."""

    folder: Path
    file: Path
    tokenizer: PreTrainedTokenizerBase
    exchange: Exchange

    @classmethod
    def make(cls, folder: Path, aside: Path, exchange: Exchange, name: str) -> "GgufSource":
        """Convert the model in `folder` into the folder `aside`; `name` is the model's in its metadata.

        Raises:
            UnfitError: llama.cpp's converter does not know the model.
        """
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        convert(folder, aside / WEIGHTS, name)
        return cls(folder, aside / WEIGHTS, load_tokenizer(folder), exchange)

    def render(self, turns: Turns, opened: bool) -> str:
        """A conversation in the trained chat template, with the opening of an answer at its end or not."""
        return str(self.tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=opened))

    def copy(self, target: Path, wanted: Gguf, threads: int, parameters: dict[str, Any]) -> None:
        """Fill the folder `target` with a quantized copy, and its Modelfile; `parameters` are Ollama's.

        Raises:
            UnfitError: llama.cpp cannot quantize the model so, or splits the exchange into other tokens.
        """
        quantize(self.file, target, wanted, threads)
        prompts = [chat(prompt) for prompt in self.exchange.prompts]
        said = zip(prompts, self.exchange.answers, strict=True)
        texts = [self.render(prompt, True) + answer for prompt, answer in said]
        with opened(target / WEIGHTS) as model:
            check_tokens(model, self.tokenizer, [(text, text) for text in texts], as_prompt=False)
            try:
                text = self._modelfile(model, prompts, parameters)
            except UntranslatableError as error:
                logger.warning(f"{wanted.name}: no Modelfile for Ollama: {error}; its template is in the file alone")
                return
        (target / FILE).write_text(text, encoding="utf-8")

    def _modelfile(self, model: LlamaFile, prompts: Sequence[Turns], parameters: dict[str, Any]) -> str:
        start = str(self.tokenizer.bos_token) if model.get_vocab().get_add_bos() else ""
        pieces = chat_pieces(self.render, start)
        check_pieces(pieces, self.render, start, prompts)
        sent = [(self.render(prompt, True), pieces.text(prompt)) for prompt in prompts]
        check_tokens(model, self.tokenizer, sent, as_prompt=True)
        ends = self.tokenizer.convert_ids_to_tokens(sorted(end_tokens(self.folder, self.tokenizer)))
        return modelfile(pieces, ends, parameters)
