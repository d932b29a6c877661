"""Memory, disk and time of GGUF copies: of a 70B, and of the text part of a 12B that sees."""

from typing import Any

import pytest

from cortex.fleet.capacity.architecture import Architecture
from cortex.fleet.capacity.gguf_phases import GgufPhases
from cortex.fleet.capacity.phase import Phase
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.capacity.sizes import copies_bytes, gguf_aside
from cortex.fleet.preflight.disk_bytes import need
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from tests.fleet.capacity.test_capacity_plan import planned

PLAIN = {"type": "q8_0", "max_kl": 0.01, "max_loss_rise": None}
MIXED = {"type": "q4_k_m", "tensors": {"attn_v": "q6_k"}, "max_kl": 0.05, "max_loss_rise": None}

GEMMA3_12B = {
    "model_type": "gemma3_text", "hidden_size": 3840, "intermediate_size": 15360, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "vocab_size": 262208,
}  # fmt: skip
"""The `text_config` of google/gemma-3-12b-it."""


def with_gguf(*copies: dict[str, Any], **changes: Any) -> Profile:
    return load_profile("cortex-70b", {"export.gguf": list(copies), **changes})


def phases(profile: Profile, architecture: Architecture) -> dict[str, Phase]:
    return {phase.name: phase for phase in GgufPhases(profile, architecture, 4e8).phases()}


def test_a_70b_s_copies_are_in_the_plan_with_their_memory_disk_and_time() -> None:
    plan = planned("cortex-70b", {"export.gguf": [PLAIN, MIXED]})
    found = {phase.name: phase for phase in plan.phases if "gguf" in phase.name}
    assert list(found) == [
        "convert to gguf", "quantize gguf-q8_0", "check gguf-q8_0", "quantize gguf-q4_k_m", "check gguf-q4_k_m",
    ]  # fmt: skip
    whole = 2 * plan.architecture.parameters
    assert found["convert to gguf"].disk == whole
    # llama.cpp's own files of Llama 3.3 70B: 75.0 GB in Q8_0, 42.5 in Q4_K_M, 57.9 in Q6_K.
    assert found["quantize gguf-q8_0"].disk == pytest.approx(75.0e9, rel=0.02)
    assert found["quantize gguf-q4_k_m"].disk == pytest.approx(3 * 57.9e9, rel=0.02), "two types, and the copy of both"
    assert found["check gguf-q8_0"].host > 75e9 and found["convert to gguf"].host > whole
    assert all(phase.seconds > 0 and not phase.gpu and not phase.gpus for phase in found.values())


def test_a_copy_that_answers_takes_longer_and_more_threads_less() -> None:
    shape = planned("cortex-70b").architecture
    bounded = {**PLAIN, "max_loss_rise": 0.01}
    plain, answering, threaded = (
        phases(with_gguf(copy, **{"export.answer_tokens": None, "hardware.threads": threads}), shape)["check gguf-q8_0"]
        for copy, threads in ((PLAIN, 8), (bounded, 8), (PLAIN, 32))
    )
    assert answering.seconds > plain.seconds == pytest.approx(4 * threaded.seconds)


def test_the_text_part_of_a_12b_that_sees() -> None:
    shape = Architecture.of(GEMMA3_12B, "gemma")
    found = phases(with_gguf(PLAIN), shape)
    assert shape.parameters == pytest.approx(11.77e9, rel=0.01)
    assert found["quantize gguf-q8_0"].disk == pytest.approx(12.5e9, rel=0.02)
    assert found["check gguf-q8_0"].host < 16 * GIB, "a laptop's"


def test_disks_hold_the_copies_and_the_file_that_they_are_made_of() -> None:
    shape = planned("cortex-70b").architecture
    without, plain, mixed = (with_gguf(*copies) for copies in ((), (PLAIN,), (PLAIN, MIXED)))
    assert gguf_aside(without, shape) == 0
    assert gguf_aside(plain, shape) == 2 * shape.parameters
    assert gguf_aside(mixed, shape) == pytest.approx(2 * shape.parameters + 2 * 57.9e9, rel=0.01)
    more = copies_bytes(plain, shape) - copies_bytes(without, shape)
    assert need(plain, shape, ("export",)).models - need(without, shape, ("export",)).models == (
        more + gguf_aside(plain, shape)
    )
    assert need(plain, shape, ("release",)).models - need(without, shape, ("release",)).models == 2 * more
