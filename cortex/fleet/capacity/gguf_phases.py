"""Phases of an export's GGUF copies: conversion, quantization, and llama.cpp's check of each, all on the host."""

from collections.abc import Iterator
from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.lengths import PROMPT, usual_answer
from cortex.fleet.capacity.phase import Knob, Phase
from cortex.fleet.capacity.sizes import gguf_bytes
from cortex.profiles.export_section import Gguf
from cortex.profiles.profile import Profile

CONVERT = 0.13e9
"""Bytes a second through the converter, which is Python. This and the rates of one thread are measured
(docs/measurements.md)."""
QUANTIZE = {"f16": 1.7e8, "q8_0": 1.8e8, "q6_k": 3.2e7, "q5_k_m": 1.6e7, "q4_k_m": 1.6e7}
"""Weights a second that one thread quantizes; that of Q5_K_M is taken to be Q4_K_M's."""
READ_FLOPS = 4e10
"""Operations a second of one thread that reads a prompt."""
MEMORY = 14e9
"""Bytes of weights a second that one thread reads for a token of an answer, in Q8_0."""
HOST_MEMORY = 100e9
"""Bytes a second that all threads of a rented machine read together. An estimate."""


@dataclass(frozen=True)
class GgufPhases:
    """The phases of GGUF copies. No GPU is at work, and the machine has them all the same."""

    profile: Profile
    architecture: Architecture
    disk: float
    """Bytes a second of the exporting machine's disk."""

    def phases(self) -> Iterator[Phase]:
        copies = self.profile.export.gguf
        if copies:
            yield self._convert()
        for copy in copies:
            yield self._quantize(copy)
            yield self._check(copy)

    @property
    def _threads(self) -> int:
        return self.profile.hardware.threads

    def _convert(self) -> Phase:
        """Conversion of the merged weights, a matrix at a time, into one file from which every copy is made."""
        whole = BF16 * self.architecture.parameters
        seconds = whole / min(CONVERT, self.disk)
        return Phase("export", "convert to gguf", seconds, host=whole + 2 * self._largest, disk=whole)

    def _quantize(self, copy: Gguf) -> Phase:
        """Quantization, a matrix at a time: as it is read, in float32, and as it is written. With `tensors`, each of
        their types is made for all matrices beside the copy's own, and the copy is put together of them."""
        kinds = 1 + len(set(copy.tensors.values()))
        whole, size = BF16 * self.architecture.parameters, gguf_bytes(self.architecture, copy)
        seconds = kinds * self.architecture.parameters / QUANTIZE[copy.type] / self._threads + kinds * size / self.disk
        beside = (kinds + 1 if copy.tensors else 1) * size
        return Phase(
            "export", f"quantize {copy.name}", seconds, host=whole + beside + 2 * self._largest, disk=beside,
            knobs=(Knob("hardware.threads", (2 * self._threads, 4 * self._threads)),),
        )  # fmt: skip

    def _check(self, copy: Gguf) -> Phase:
        """llama.cpp's check of a copy: one text after another, on the profile's threads.

        It reads each prompt with its answer, and, where the profile bounds the loss, answers each prompt. Reading is
        bound by arithmetic, answering by the memory that every token's weights come from."""
        a, wanted = self.architecture, self.profile.export
        longest = wanted.answer_tokens or self.profile.evaluate.max_new_tokens
        usual, answering = wanted.answer_tokens or usual_answer(longest), copy.max_loss_rise is not None
        size = gguf_bytes(a, copy)
        read = (PROMPT + usual) + answering * PROMPT
        one = size / min(self._threads * MEMORY, HOST_MEMORY)
        seconds = wanted.check_examples * (
            2.0 * a.multiplied * read / READ_FLOPS / self._threads + answering * usual * one
        )
        tables = 3 * FLOAT * longest * a.vocabulary + (PROMPT + longest) * a.cache
        return Phase(
            "export", f"check {copy.name}", seconds, host=size + tables, disk=0.0,
            knobs=(Knob("export.check_examples", tuple(range(wanted.check_examples - 8, 7, -8))),),
        )  # fmt: skip

    @property
    def _largest(self) -> float:
        """Bytes of the largest matrix, in float32."""
        a = self.architecture
        return FLOAT * max(a.table, *(inputs * outputs for inputs, outputs in a.linears))
