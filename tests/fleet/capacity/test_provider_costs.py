"""Hours and dollars at several providers, and the table of the planner's page."""

from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.fleet.capacity.provider_costs import ProviderOffer, cost_table, provider_costs, read_offers
from cortex.profiles.profile_file import load_profile
from cortex.settings import CHECKOUT, Settings
from tests.fleet.capacity.test_capacity_plan import phase, planned

EIGHT = ProviderOffer(provider="one", accelerator="H100", gpus=8, dollars=24.0)


def test_the_hours_are_the_plans_and_checkpoints_are_shared_among_the_phases() -> None:
    plan = planned("planner-1b")
    [cost] = provider_costs(load_profile("planner-1b"), [EIGHT], Settings())
    assert sum(cost.hours.values()) == pytest.approx(sum(one.seconds for one in plan.phases) / 3600)
    steps = phase(plan, "pretrain", "step web").seconds / 3600
    assert steps < cost.hours["pretrain: web"] < 1.1 * steps
    assert cost.dollars == pytest.approx(24 * sum(cost.hours.values()))
    assert cost.misfit is None


def test_credits_are_taken_off_and_a_machine_that_is_too_small_is_named() -> None:
    small = {"provider": "two", "accelerator": "L4", "dollars": 1.0, "credits": 1e6}
    [cost] = provider_costs(load_profile("planner-1b"), [ProviderOffer.model_validate(small | {"gpus": 8})], Settings())
    assert cost.dollars == 0
    assert "after $1,000,000 of credits" in cost_table([cost])
    alone = ProviderOffer.model_validate(small | {"gpus": 1, "set": {"sft.gradient_accumulation": 64}})
    [cost] = provider_costs(load_profile("planner-1b"), [alone], Settings())
    assert cost.misfit == "pretrain"
    assert "pretrain does not fit" in cost_table([cost])


def test_an_optimizer_of_fewer_bytes_takes_less_memory_by_what_it_spares() -> None:
    one = {"hardware.gpus": 1, "pretrain.micro_batch_size": 1}
    adam, small = (
        phase(planned("planner-1b", one | {"pretrain.optimizer": name}), "pretrain", "step web").gpu
        for name in ("adamw_torch", "adamw_8bit")
    )
    parameters = planned("planner-1b").architecture.parameters
    assert adam - small == pytest.approx(5.9 * parameters, rel=0.01)


def test_each_phase_of_the_same_step_takes_about_the_same_memory_and_longer_sequences_more_time() -> None:
    plan = planned("planner-1b")
    short, web = (phase(plan, "pretrain", f"step {name}") for name in ("short", "web"))
    assert web.gpu == pytest.approx(short.gpu, rel=0.02)
    assert web.each > short.each


def test_the_planners_page_has_the_table_that_the_command_prints() -> None:
    offers = read_offers(CHECKOUT / "jobs" / "prices" / "providers.yaml")
    table = cost_table(provider_costs(load_profile("planner-1b"), offers, Settings()))
    page = (CHECKOUT / "docs" / "recipes" / "planner.md").read_text(encoding="utf-8")
    assert table in page, "paste what `cortex plan planner-1b --providers jobs/prices/providers.yaml` prints"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("offers: []", "offers: .*at least 1 item"),
        ("offers: [{provider: a, accelerator: H100, price: 3}]", "unknown key 'price'"),
        ("offers: [{provider: a, accelerator: H100, dollars: -1}]", "offers.0.dollars"),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_offers(path)
    with pytest.raises(ConfigError, match=r"none.yaml is not there: name a list of prices"):
        read_offers(tmp_path / "none.yaml")
