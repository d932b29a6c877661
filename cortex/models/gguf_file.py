"""GGUF files, which llama.cpp and Ollama load: written by llama.cpp's own converter, quantized by llama.cpp."""

import json
import logging
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cyllama.llama.llama_cpp as native
import torch
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
from gguf import GGUFReader, GGUFWriter, LlamaFileType
from gguf.scripts.gguf_new_metadata import copy_with_new_metadata

from cortex.errors import DataError
from cortex.profiles.export_section import Gguf

FILE = "model.gguf"
"""The file of weights in a copy's folder."""

_WHOLE_FILE = {"f16": "F16", "q8_0": "Q8_0", "q6_k": "Q6_K", "q5_k": "Q5_K_S", "q4_k": "Q4_K_S"}
"""llama.cpp's file type, by the type that it gives every matrix when it mixes none in."""


class UnfitError(DataError):
    """llama.cpp cannot hold this model as it was asked for, or would answer otherwise; the message is the reason."""


def convert(source: Path, target: Path, name: str) -> None:
    """Write the model in the folder `source` as a GGUF file, its weights unchanged; `name` goes into its metadata.

    Of a vision-language model, the converter takes the part that reads and writes text.

    Raises:
        UnfitError: the converter does not know the architecture, or how the tokenizer splits text.
    """
    logging.getLogger("hf-to-gguf").setLevel(logging.ERROR)  # its warning of a tokenizer that it does not know is long
    with torch.inference_mode():
        try:
            sizes = ModelBase.load_hparams(source, is_mistral_format=False)
            known = get_model_class(get_model_architecture(sizes, ModelType.TEXT))
            whole = LlamaFileType.ALL_F32 if sizes.get("dtype") == "float32" else LlamaFileType.GUESSED
            _knowing_gpt2(known, source)(source, whole, target, model_name=name).write()
        except NotImplementedError as error:
            raise UnfitError(f"llama.cpp's converter refuses the model: {error}") from error


def _knowing_gpt2(known: type[Any], source: Path) -> type[Any]:
    """The converter's class for a model; it also knows a tokenizer trained here that splits text as GPT-2's does.

    The converter recognizes a tokenizer by the hash of a text's tokens, and so none that was trained on another corpus.
    """
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    splits = tokenizer.get("pre_tokenizer") or {}
    if (splits.get("type"), splits.get("use_regex"), splits.get("add_prefix_space")) != ("ByteLevel", True, False):
        return known

    class Known(known):
        model_arch = known.model_arch

        def get_vocab_base_pre(self, tokenizer: Any) -> str:
            try:
                return super().get_vocab_base_pre(tokenizer)
            except NotImplementedError:
                return "gpt-2"

    return Known


def quantize(whole: Path, target: Path, wanted: Gguf, threads: int) -> None:
    """Write a quantized copy of the GGUF file `whole` into the folder `target`.

    Raises:
        UnfitError: no matrix can have the type, or `wanted.tensors` names no tensor, or one twice.
    """
    file = target / FILE
    if not wanted.tensors:
        _quantize(whole, file, f"MOSTLY_{wanted.type.upper()}", threads)
    else:
        parts = {kind: target / f"{kind}.part" for kind in {"", *wanted.tensors.values()}}
        _quantize(whole, parts[""], f"MOSTLY_{wanted.type.upper()}", threads)
        for kind, part in parts.items():
            if kind:
                _quantize(whole, part, f"MOSTLY_{_WHOLE_FILE[kind]}", threads, pure=True)
        _splice(parts, file, wanted.tensors)
        for part in parts.values():
            part.unlink()
    types = tensor_types(file)
    if "_k" in wanted.type and not any(name.endswith("_K") for name in types):
        made = " and ".join(name.lower() for name in types if name != "F32")
        raise UnfitError(
            f"K-quants need rows of a multiple of 256 weights, and no matrix has them: llama.cpp falls back to {made} "
            "for all; ask for q8_0"
        )


def _quantize(whole: Path, target: Path, file_type: str, threads: int, *, pure: bool = False) -> None:
    """Have llama.cpp quantize a file. `pure` gives every matrix the same type."""
    native.set_log_callback(lambda level, text: None)
    wanted = native.LlamaModelQuantizeParams()
    wanted.ftype, wanted.nthread, wanted.pure = LlamaFileType[file_type].value, threads, pure
    try:
        native.model_quantize(str(whole), str(target), wanted)
    except RuntimeError as error:
        raise UnfitError(
            f"llama.cpp cannot make {file_type.removeprefix('MOSTLY_').lower()} of the weights: K-quants need rows of "
            f"a multiple of 256, others of 32 ({error})"
        ) from error


def _splice(parts: Mapping[str, Path], target: Path, tensors: Mapping[str, str]) -> None:
    """Write the file `parts[""]` anew, with those tensors of the others whose names match an expression.

    llama.cpp's binding has no way to pass expressions on, so each type is made for all tensors, and chosen from here.
    """
    readers = {kind: GGUFReader(part) for kind, part in parts.items()}
    base = readers[""]
    names = [tensor.name for tensor in base.tensors]
    chosen: dict[str, str] = {}
    for pattern, kind in tensors.items():
        found = [name for name in names if re.search(pattern, name)]
        if not found:
            raise UnfitError(f"tensors: {pattern!r} matches no tensor; there are {', '.join(names[:12])}, ...")
        twice = next((name for name in found if chosen.get(name, kind) != kind), None)
        if twice:
            raise UnfitError(f"tensors: {twice} would be both {chosen[twice]} and {kind}: correct the expressions")
        chosen |= dict.fromkeys(found, kind)
    by_name = {kind: {tensor.name: tensor for tensor in reader.tensors} for kind, reader in readers.items()}
    base.tensors = [by_name[chosen.get(name, "")][name] for name in names]
    architecture = base.get_field("general.architecture")
    assert architecture is not None, "the converter writes it into every file"
    copy_with_new_metadata(base, GGUFWriter(target, architecture.contents(), endianess=base.endianess), {}, [])


def tensor_types(file: Path) -> dict[str, int]:
    """Count of a GGUF file's tensors of each type, by llama.cpp's name of it: `{"F32": 5, "Q4_K": 12, "Q6_K": 3}`."""
    return dict(sorted(Counter(tensor.tensor_type.name for tensor in GGUFReader(file).tensors).items()))
