"""Quantized copies close enough to the full weights, by their answers to held-out examples."""

import math
from pathlib import Path

import pytest

from cortex.domains.episode import one_reply
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.question import Example, Message
from cortex.models.copies import (
    ExportSummary,
    judge_copy,
    mean_loss,
    read_summary,
    refuse_copy,
    sampled_copies,
    write_summary,
)
from cortex.profiles.export_section import Gguf, Gptq

BOUNDS = Gptq(bits=8, max_kl=0.25, max_loss_rise=0.25)


DOMAIN = Markets()


def examples(*outcomes: float) -> list[Example]:
    return [Example(str(number), (Message("user", "flow:1"),), outcome) for number, outcome in enumerate(outcomes)]


def stating(p_up: float) -> str:
    return render_answer(Answer("a", p_up, "up" if p_up >= 0.5 else "down", 0.0, -1, 1))


def test_an_outcome_of_exactly_0_is_half_a_rise() -> None:
    """The scores and the base rate count it so: "surely up" and "surely not" were equally wrong."""
    assert mean_loss(DOMAIN, examples(0.0), [one_reply(stating(1.0))]) == 0.25
    assert mean_loss(DOMAIN, examples(0.0), [one_reply(stating(0.0))]) == 0.25
    assert mean_loss(DOMAIN, examples(0.0), [one_reply(stating(0.5))]) == 0


def test_an_answer_that_cannot_be_read_counts_as_one_half() -> None:
    assert mean_loss(DOMAIN, examples(-0.01, 0.01), [one_reply("no answer"), one_reply(stating(1.0))]) == 0.25 / 2


@pytest.mark.parametrize(
    ("kl", "p_up", "fault"),
    [
        (0.25, 0.5, None),  # just at both bounds, which a copy may reach, but not pass
        (0.2501, 0.5, "divergence 0.25 is over the bound 0.25"),
        (0.25, 0.4999, "rise of the loss 0.25 is over the bound 0.25"),
        (math.nan, 1.0, "divergence nan is over the bound 0.25"),
        (0.0, 1.0, None),
    ],
)
def test_a_copy_is_accepted_up_to_its_bounds(kl: float, p_up: float, fault: str | None) -> None:
    asked = examples(0.01, 0.02)
    losses = tuple(mean_loss(DOMAIN, asked, [one_reply(stating(each))] * 2) for each in (p_up, 1.0))
    copy = judge_copy(BOUNDS, kl, (losses[0], losses[1]))
    assert copy.accepted is (fault is None)
    assert copy.reason == fault if fault else copy.reason.startswith("divergence ")
    assert (copy.name, copy.bits, copy.loss_of_full) == ("gptq-w8", 8, 0)


def test_without_answers_the_divergence_alone_decides() -> None:
    bounds = BOUNDS.model_copy(update={"max_loss_rise": None})
    near, far = (judge_copy(bounds, kl, None) for kl in (0.25, 0.26))
    assert (near.accepted, near.reason, near.loss, near.loss_of_full) == (True, "divergence 0.25", None, None)
    assert (far.accepted, far.reason) == (False, "divergence 0.26 is over the bound 0.25")


def test_only_accepted_copies_that_torch_can_load_are_sampled(tmp_path: Path) -> None:
    gguf = Gguf(type="q4_k_m", max_kl=0.25, max_loss_rise=None)
    copies = (
        *(judge_copy(BOUNDS.model_copy(update={"bits": bits}), kl, (0.25, 0.25)) for bits, kl in ((8, 0.1), (4, 0.9))),
        judge_copy(gguf, 0.1, None, {"F32": 5, "Q4_K": 12}),
        refuse_copy(gguf.model_copy(update={"type": "q8_0"}), "llama.cpp does not know it"),
    )
    summary = ExportSummary(copies, merging_kl=0.001)
    write_summary(summary, tmp_path)
    assert read_summary(tmp_path) == summary
    assert [copy.accepted for copy in copies] == [True, False, True, False]
    assert [(copy.name, copy.bits) for copy in copies[2:]] == [("gguf-q4_k_m", 4), ("gguf-q8_0", 8)]
    assert sampled_copies(tmp_path) == ["gptq-w8"]
