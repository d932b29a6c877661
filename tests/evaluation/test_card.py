import re

import pytest
import yaml

from cortex.evaluation.card import CardDetails, TrainingStage, model_card
from cortex.evaluation.record import Evaluation
from tests.evaluation.simulation import MARKETS
from tests.evaluation.test_judging import EVALUATION
from tests.hostile import HOSTILE, odd_characters

DETAILS = CardDetails(
    title="A forecaster",
    license="llama3.3",
    base_model="meta-llama/Llama-3.3-70B-Instruct",
    profile={"name": "cortex-70b", "hardware": "8xH100"},
    training=[TrainingStage(name="sft", method="Axolotl, QLoRA", facts={"steps": 300, "learning rate": 1e-5})],
    provenance={"code": "0.1.0+abc", "sft": "f" * 64},
)


def card_of(evaluation: Evaluation, details: CardDetails = DETAILS) -> str:
    return model_card(details, [(evaluation, MARKETS.card())])


def metadata(card: str) -> dict:
    _, block, _ = card.split("---\n", 2)
    return yaml.safe_load(block)


def real_data() -> Evaluation:
    data = EVALUATION.data.model_copy(update={"simulated": False, "source": "files: daily prices"})
    return EVALUATION.model_copy(update={"data": data})


def test_the_metadata_are_what_the_hub_reads() -> None:
    block = metadata(card_of(EVALUATION))
    assert block["license"] == "llama3.3"
    assert block["base_model"] == "meta-llama/Llama-3.3-70B-Instruct"
    assert block["pipeline_tag"] == "text-generation"
    (entry,) = block["model-index"]
    (results,) = entry["results"]
    scores = {metric["type"]: metric["value"] for metric in results["metrics"]}
    assert scores["skill"] == round(EVALUATION.models["grpo"].skill, 6)
    assert scores["accuracy"] == round(EVALUATION.models["grpo"].measures["accuracy"], 6)
    assert results["task"]["name"] == "Probabilistic forecasting"
    assert results["dataset"]["type"] == "simulated"
    assert block["tags"] == ["reasoning", "forecasting", "simulated-data"]
    assert "base_model" not in metadata(card_of(EVALUATION, DETAILS.model_copy(update={"base_model": None})))


def test_the_card_opens_with_the_verdict() -> None:
    lines = card_of(EVALUATION).split("---\n", 2)[2].strip().splitlines()
    assert lines[0] == "# A forecaster"
    assert lines[2].startswith("**Skill shown.** Brier skill against the base rate")
    assert EVALUATION.verdict.comparison in lines[2]


def test_every_forecaster_has_a_row_of_scores_with_its_interval() -> None:
    card = card_of(EVALUATION)
    interval = EVALUATION.models["grpo"].intervals["skill"]
    row = next(line for line in card.splitlines() if line.startswith("| **grpo** |"))
    assert f"({interval.low:+.3f} to {interval.high:+.3f})" in row
    for name in ("base", "sft", "base rate", "momentum", "logistic regression", "oracle"):
        assert f"\n| {name} |" in card


def test_simulated_data_are_called_that_and_real_data_are_not() -> None:
    warning = "They say nothing of the real world."
    assert warning in card_of(EVALUATION)
    assert "simulated-data" in metadata(card_of(EVALUATION))["tags"]
    assert warning not in card_of(real_data())
    assert "simulated" not in card_of(real_data())


def test_the_card_carries_limits_training_and_provenance() -> None:
    card = card_of(EVALUATION)
    assert "no investment advice" in card
    assert "states the probability of a rise over the next day" in card
    assert "| Symbols | 5: S0, S1, S2, S3, S4 |" in card
    assert "| Features | mom7: " in card
    assert "(circular block bootstrap over decision dates)" in card
    assert "| sft | Axolotl, QLoRA; steps 300; learning rate 1e-05 |" in card
    assert f"| sft | `{'f' * 64}` |" in card
    assert "and the terms of `meta-llama/Llama-3.3-70B-Instruct`" in card


def test_text_cannot_break_a_table_or_open_a_tag() -> None:
    facts = {"Features": "mom7: momentum over 7 days, flow: net inflow | of exchanges"}
    data = EVALUATION.data.model_copy(update={"facts": facts})
    card = card_of(EVALUATION.model_copy(update={"data": data}))
    assert "net inflow \\| of exchanges" in card
    assert "<script" not in card.split("---\n", 2)[2]


def test_the_same_inputs_give_the_same_card() -> None:
    assert card_of(real_data()) == card_of(real_data())


@pytest.mark.parametrize(
    "text", ["[x](https://e.org)", "![x](https://e.org/i)", "<img src=x>", "`<b>`", "a|b", *HOSTILE]
)
def test_no_text_becomes_a_link_an_image_or_a_tag(text: str) -> None:
    data = EVALUATION.data.model_copy(update={"source": text, "facts": {text: text}})
    verdict = EVALUATION.verdict.model_copy(update={"reason": text, "comparison": text})
    details = DETAILS.model_copy(
        update={
            "title": text,
            "license": text,
            "base_model": text,
            "profile": {text: text},
            "training": [TrainingStage(name=text, method=text, facts={text: text})],
            "provenance": {text: text},
        }
    )
    card = card_of(EVALUATION.model_copy(update={"data": data, "verdict": verdict}), details)
    assert odd_characters(card) == set()
    spans = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", card.split("---\n", 2)[2])
    assert not re.search(r"(?<!\\)\]\(|<|://", spans)


def test_a_licences_notices_stand_on_the_card_word_for_word() -> None:
    notices = ("Built with Llama", "Licensed under the terms (c) of *somebody*.")
    card = card_of(EVALUATION, DETAILS.model_copy(update={"notices": notices}))
    assert all(f"\n{notice}\n" in card for notice in notices)
