"""Sizes of a run's files on disk, shared by the plan and preflight's check of disks."""

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.profiles.export_section import Gguf
from cortex.profiles.profile import Profile


def checkpoint_bytes(profile: Profile, architecture: Architecture) -> int:
    """Bytes of one checkpoint: the trained parameters in float32, and the optimizer's two moments of each."""
    return 3 * FLOAT * architecture.trained(profile.model.adapter)


def judged_bytes(profile: Profile, architecture: Architecture, tokens: int | None = None) -> int:
    """Bytes of the log-probabilities that quantized copies are compared with, for answers of `tokens` tokens (default:
    the longest)."""
    tokens = tokens or profile.export.answer_tokens or profile.evaluate.max_new_tokens
    return FLOAT * profile.export.check_examples * tokens * architecture.vocabulary


_GGUF_BITS = {"f16": 16.0, "q8_0": 8.5, "q6_k": 6.5625, "q5_k_m": 5.7, "q5_k": 5.5, "q4_k_m": 4.9, "q4_k": 4.5}
"""Bits of a weight with its scales: a block of Q8_0 is 34 bytes for 32 weights, of Q6_K 210 for 256, of Q5_K 176, of
Q4_K 144 (ggml's `ggml-common.h`). The mixtures are those of Llama's shapes, as llama.cpp prints them."""


def gguf_bytes(architecture: Architecture, copy: Gguf) -> float:
    """Bytes of a GGUF copy at most: as if all tensors had the largest of the types that the profile names for some."""
    bits = max(_GGUF_BITS[kind] for kind in (copy.type, *copy.tensors.values()))
    return architecture.parameters * bits / 8


def copies_bytes(profile: Profile, architecture: Architecture) -> int:
    """Bytes of all quantized copies."""
    gptq = sum(round(architecture.copy(copy.bits)) for copy in profile.export.gptq)
    return gptq + sum(round(gguf_bytes(architecture, copy)) for copy in profile.export.gguf)


def gguf_aside(profile: Profile, architecture: Architecture) -> int:
    """Bytes beside GGUF copies while they are made: the whole model as a file, and the copy in the making in each of
    the types that `tensors` names."""
    if not profile.export.gguf:
        return 0
    parts = [
        (1 + len(set(copy.tensors.values()))) * gguf_bytes(architecture, copy)
        for copy in profile.export.gguf
        if copy.tensors
    ]
    return BF16 * architecture.parameters + round(max(parts, default=0))
