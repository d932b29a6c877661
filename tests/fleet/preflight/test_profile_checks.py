"""Checks of the profile itself: keys, disks, budget, machines."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.feedback_section import Feedback
from cortex.domains.markets import Markets
from cortex.errors import ConfigError
from cortex.fleet.capacity.architecture import Architecture, read_architecture
from cortex.fleet.capacity.capacity_plan import plan_capacity
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.capacity.teacher_cost import teacher_architecture
from cortex.fleet.preflight import (
    cost_check,
    disk_check,
    domain_check,
    images_check,
    keys_check,
    machines_check,
    memory_check,
)
from cortex.fleet.preflight.disk_bytes import need
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.limits import CONFIG_BYTES
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.pipeline import SKY_YAML, read_documents
from cortex.runs.price_list import Offer
from cortex.runs.stage_list import TRAINERS
from cortex.settings import CHECKOUT, Settings
from scripts.images.build import NAMES as PUSHED

NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9"}


def ground(profile: Profile, *documents: Mapping[str, Any], **values: Any) -> Ground:
    return Ground(profile, None, values.pop("settings", Settings()), list(documents), environment=NOWHERE, **values)


def shape_of(profile: Profile) -> Architecture:
    return read_architecture(profile.model, NOWHERE)[1]


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, {"CORTEX_TEACHER_API_KEY"}),
        ({"CORTEX_TEACHER_API_KEY": "k"}, set[str]()),
        ({"CORTEX_TEACHER_API_KEY": "none", "CORTEX_FLIPSIDE_API_KEY": "k"}, set[str]()),
        ({"CORTEX_TEACHER_URL": "http://127.0.0.1:8000/v1", "CORTEX_FLIPSIDE_API_KEY": "k"}, set[str]()),
    ],
)
def test_the_keys_that_the_profile_needs(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], missing: set[str]
) -> None:
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_TEACHER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = keys_check.check(ground(load_profile("cortex-8b")))
    assert found.ok is (not missing), found
    assert all(f"{name} is not set" in found.detail and f"export {name}=" in str(found.fix) for name in missing)


def test_a_source_without_a_stand_in_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_TEACHER_API_KEY", "k")
    monkeypatch.delenv("CORTEX_FLIPSIDE_API_KEY", raising=False)
    found = keys_check.check(ground(load_profile("cortex-8b", sets=["domain.source.without_key=null"])))
    assert not found.ok and "CORTEX_FLIPSIDE_API_KEY is not set" in found.detail


@pytest.mark.parametrize("key", ["", "k"])
def test_a_stand_in_for_a_source_without_its_key_is_said_aloud(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("CORTEX_TEACHER_API_KEY", "k")
    monkeypatch.setenv("CORTEX_FLIPSIDE_API_KEY", key)
    found = keys_check.check(ground(load_profile("cortex-8b")))
    said = "CORTEX_FLIPSIDE_API_KEY is not set, so the data come from coinbaseexchange and DefiLlama"
    assert found.ok and (said in found.detail) is (not key)


def test_a_rehearsal_needs_no_key(profile: Profile) -> None:
    assert keys_check.check(ground(profile)).ok


class OwnMarkets(Markets):
    """A domain outside of the kit's folder, as one that CORTEX_DOMAINS finds."""


def test_a_domain_that_images_do_not_hold_is_refused(profile: Profile) -> None:
    assert domain_check.check(ground(profile)).ok
    found = domain_check.check(ground(profile.model_copy(update={"domain": OwnMarkets()})))
    assert found.ok is False and str(Path(__file__).parent) in found.detail
    assert "cortex/domains/" in str(found.fix)


def test_feedback_in_a_folder_of_this_machine_is_refused(profile: Profile) -> None:
    named, local = (
        profile.domain.model_copy(update={"feedback": Feedback(dataset=text)}) for text in ("november", "/a/b")
    )
    assert domain_check.check(ground(profile.model_copy(update={"domain": named}))).ok
    found = domain_check.check(ground(profile.model_copy(update={"domain": local})))
    assert found.ok is False and "/a/b" in found.detail and "--publish" in str(found.fix)


TASK = {"name": "sft", "run": "cortex run sft"}


@pytest.mark.parametrize(
    ("size", "ok"), [(None, True), (512, True), ("0.5TB", True), ("512GB", True), (64, False), ("100g", False)]
)
def test_a_disk_is_compared_with_what_its_stages_hold(size: object, ok: bool) -> None:
    resources = {"disk_size": size} if size else {}
    found = disk_check.check(ground(load_profile("cortex-70b"), TASK | {"resources": resources or {"disk_size": 512}}))
    assert found.ok is ok, found
    if not ok:
        assert "sft" in found.detail and "disk_size: " in str(found.fix) and "base 131" in found.detail


def test_a_disk_just_large_enough_is_and_each_alternative_counts() -> None:
    profile = load_profile("cortex-70b")
    shape = shape_of(profile)
    least = need(profile, shape, ("sft",)).total / GIB + disk_check.SYSTEM

    def fits(**resources: object) -> bool | None:
        return disk_check.check(ground(profile, TASK | {"resources": resources})).ok

    for unit, many in (("", 1), ("GB", 1), ("T", 1024), ("MiB", 1 / 1024)):
        assert fits(disk_size=f"{(least + 1) / many}{unit}") and not fits(disk_size=f"{(least - 1) / many}{unit}")
    large, small = {"disk_size": int(least + 1)}, {"disk_size": int(least - 1)}
    assert fits(any_of=[large, large]) and not fits(any_of=[large, small]) and not fits(ordered=[small, large])
    assert fits(**small, any_of=[large]), "an alternative's own size goes before the common one"


def test_the_fix_is_large_enough() -> None:
    profile = load_profile("cortex-70b")
    task = {"name": "export", "run": "cortex run export evaluate"}
    small = disk_check.check(ground(profile, task))
    assert small.ok is False
    size = int(str(small.fix).removeprefix("disk_size: ").partition(" ")[0])
    resources = {"disk_size": size}
    assert disk_check.check(
        ground(profile, {"name": "export", "run": "cortex run export evaluate", "resources": resources})
    ).ok


def test_a_size_that_is_none_names_the_task(profile: Profile) -> None:
    with pytest.raises(ConfigError, match="task 'sft': disk_size 'much' is no size: write 512"):
        disk_check.check(ground(profile, TASK | {"resources": {"disk_size": "much"}}))


def test_what_cannot_be_known_is_not_checked(profile: Profile) -> None:
    other = Profile.model_validate(profile.model_dump() | {"model": {"base": "somebody/unknown"}})
    found = disk_check.check(ground(other, TASK))
    assert found.ok is None and "the shape of somebody/unknown is not known here" in found.detail
    assert disk_check.check(ground(profile)).ok is None


def test_an_adapter_s_checkpoints_are_small_and_a_whole_model_s_are_not() -> None:
    lora = load_profile("cortex-8b")
    whole = Profile.model_validate(lora.model_dump() | {"model": {"base": lora.model.base}})
    shape = shape_of(lora)
    assert shape.adapter(16) == 41_943_040, "as PEFT counts them"
    assert need(lora, shape, ("sft",)).checkpoints < 8 * GIB
    # Weights and two moments in float32, for the kept checkpoints and two more.
    assert need(whole, shape, ("sft",)).checkpoints == (lora.sft.keep_checkpoints + 2) * 12 * shape.parameters
    assert need(lora, shape, ("data", "label")).total == 0


def test_what_each_kind_of_stage_lays_on_the_disk() -> None:
    profile = load_profile("cortex-8b")
    assert profile.model.adapter
    shape = shape_of(profile)
    whole, trained = 2 * shape.parameters, 4 * shape.adapter(profile.model.adapter.r)
    copies = sum(round(1.1 * shape.parameters * copy.bits / 8) for copy in profile.export.gptq)
    assert copies > 0.5 * shape.parameters
    judged = 4 * profile.export.check_examples * profile.evaluate.max_new_tokens * 128256
    expected = {
        ("sft",): (whole, 2 * trained),
        ("dpo", "grpo"): (whole, 2 * 2 * trained),
        ("export",): (whole, whole + copies + judged),
        ("export", "evaluate"): (whole, whole + copies + judged + 3 * trained),
        ("evaluate",): (whole, whole + copies + 3 * trained),
        ("release",): (0, 2 * (whole + copies)),
    }
    assert profile.dpo
    for stages, sizes in expected.items():
        found = need(profile, shape, stages)
        assert (found.base, found.models) == sizes, stages


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("[!r]*.yaml")))
def test_the_disk_that_is_asked_for_holds_what_the_plan_lays_on_it(name: str) -> None:
    profile = load_profile(name)
    plan = plan_capacity(profile, Settings(), environment=NOWHERE, tracing="never")
    teacher = teacher_architecture(profile, NOWHERE)
    laid = {stage: sum(phase.disk for phase in plan.phases if phase.stage == stage) for stage in TRAINERS}
    for stage, size in laid.items():
        if size:
            wanted = need(profile, plan.architecture, (stage,), teacher)
            assert size == wanted.base + wanted.checkpoints + wanted.teacher, stage
    for stage in ("export", "evaluate"):
        size = sum(phase.disk for phase in plan.phases if phase.stage == stage)
        assert size == pytest.approx(need(profile, plan.architecture, (stage,)).total), stage


def test_a_model_from_nothing_is_counted(profile: Profile) -> None:
    assert 500_000 < shape_of(profile).parameters < 1_000_000


BASE = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
BASE |= {"num_attention_heads": 4, "vocab_size": 100}


def test_a_local_base_is_counted_by_its_configuration_in_the_disk_as_in_the_plan(
    profile: Profile, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BASE))
    local = Profile.model_validate(profile.model_dump() | {"model": {"base": str(tmp_path)}})
    assert disk_check.check(ground(local, TASK)).ok
    block = 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64
    assert shape_of(local).parameters == 2 * block + 2 * 100 * 64 + 64


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"[]", "holds no JSON object"),
        (b"[" * 9000, "is no model's configuration"),
        (b"{" + b" " * CONFIG_BYTES, "is no model's configuration"),
        (json.dumps(BASE | {"num_attention_heads": 0}).encode(), "says nothing of num_attention_heads"),
        (json.dumps(BASE | {"model_type": "mixtral", "num_local_experts": 8}).encode(), "num_local_experts 8"),
    ],
)
def test_a_local_base_that_says_nothing_of_use_is_not_known(
    profile: Profile, tmp_path: Path, config: bytes, words: str
) -> None:
    (tmp_path / "config.json").write_bytes(config)
    local = Profile.model_validate(profile.model_dump() | {"model": {"base": str(tmp_path)}})
    found = disk_check.check(ground(local, TASK))
    assert found.ok is None and words in found.detail and str(tmp_path) in found.detail


@pytest.mark.parametrize(
    ("budget", "ok", "advice"), [(50, False, "budget.dollars to 200"), (150, True, "200"), (250, True, None)]
)
def test_a_budget_is_compared_with_the_estimate(budget: float, ok: bool, advice: str | None) -> None:
    found = cost_check.judged(budget, 100, 200)
    assert found.ok is ok and f"${budget}" in found.detail and "$100" in found.detail
    assert (found.fix is None) == (advice is None) and (advice or "") in (found.fix or "")


def rented(dollars: float) -> tuple[Offer, ...]:
    kind = {"cloud": "aws", "region": "us-east-1", "instance_type": "p5.48xlarge", "spot": True}
    return (Offer.model_validate(kind | {"dollars_per_hour": dollars}),)


@pytest.mark.parametrize(("dollars", "ok"), [(0.5, True), (500.0, False)])
def test_the_estimate_is_of_this_profile_s_hours(dollars: float, ok: bool) -> None:
    profile = load_profile("cortex-8b")
    found = cost_check.check(ground(profile, TASK, rentable=lambda document: rented(dollars)))
    assert found.ok is ok and f"${profile.budget.dollars:.0f}" in found.detail, found


def test_the_budget_is_held_against_the_profile_s_own_gpus_not_their_cheaper_kin() -> None:
    profile = load_profile("cortex-70b")
    own = f"{profile.hardware.accelerator}:{profile.hardware.gpus}"

    def detail(**dollars: float) -> str:
        offers = tuple(
            rented(price)[0].model_copy(update={"accelerators": gpus})
            for gpus, price in sorted(dollars.items(), key=lambda pair: pair[1])
        )
        return cost_check.check(ground(profile, TASK, rentable=lambda document: offers)).detail

    assert detail(**{"A100-80GB:8": 5.0, own: 30.0}) == detail(**{own: 30.0}) != detail(**{own: 5.0})


def test_the_estimate_is_of_the_dearest_task_and_of_the_kind_that_is_rented() -> None:
    profile, data = load_profile("cortex-8b"), {"name": "data", "run": "cortex run data"}

    def detail(spot: bool, *tasks: Mapping[str, Any]) -> str:
        prices = {"data": 0.3, "sft": 3.0}
        return cost_check.check(
            ground(
                profile,
                *tasks,
                rentable=lambda document: (rented(prices[document["name"]])[0].model_copy(update={"spot": spot}),),
            )
        ).detail

    assert detail(True, data, TASK) == detail(True, TASK, data) == detail(True, TASK) != detail(True, data)
    assert detail(True, TASK) != detail(False, TASK), "on demand nothing is lost, and nothing waits"


def test_without_a_budget_it_warns(profile: Profile) -> None:
    found = cost_check.check(ground(profile, TASK, rentable=lambda document: rented(9.5)))
    assert found.word == "warning" and "$9.50/h" in found.detail and "budget.dollars" in str(found.fix)
    assert cost_check.check(ground(profile)).ok is None


def test_machines_that_the_catalog_does_not_have(profile: Profile) -> None:
    def none(document: Mapping[str, Any]) -> tuple[Offer, ...]:
        raise ConfigError("task 'sft': its `resources` cannot be used: Invalid region 'us-wesst-2'")

    found = machines_check.check(ground(profile, TASK, rentable=none))
    assert found.ok is False and "us-wesst-2" in found.detail and "sky gpus list" in str(found.fix)
    assert machines_check.check(ground(profile, TASK, rentable=lambda document: rented(1.0))).ok
    assert machines_check.check(ground(profile)).ok is None


OFFLINE = (disk_check.check, keys_check.check)
"""Checks that need no network: with every key set, each shipped profile passes them."""

PROFILE_NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))
JOBS = sorted((CHECKOUT / "jobs").glob("*.yaml"))


@pytest.fixture
def all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_TEACHER_API_KEY", "k")
    monkeypatch.setenv("CORTEX_FLIPSIDE_API_KEY", "k")


@pytest.mark.usefixtures("all_keys")
@pytest.mark.parametrize("check", OFFLINE, ids=lambda check: check.__module__.rpartition(".")[2])
@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_shipped_profile_passes_with_the_shipped_pipeline(name: str, check: Callable[[Ground], Finding]) -> None:
    documents = [document for document in read_documents(SKY_YAML) if "run" in document]
    found = check(ground(load_profile(name), *documents, settings=Settings()))
    assert found.ok is True and found.word == "ok", found


@pytest.mark.usefixtures("all_keys")
@pytest.mark.parametrize("check", OFFLINE, ids=lambda check: check.__module__.rpartition(".")[2])
@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_every_shipped_job_passes(path: Path, check: Callable[[Ground], Finding]) -> None:
    documents = read_documents(path)
    assert documents and check(ground(load_profile("cortex-8b"), *documents, settings=Settings())).ok is not False


@pytest.mark.parametrize("path", [SKY_YAML, *JOBS], ids=lambda path: path.stem)
def test_every_image_that_a_shipped_file_names_is_one_that_is_pushed(path: Path, tmp_path: Path) -> None:
    digests = tmp_path / "digests.json"
    pushed = {name: f"127.0.0.1:9/cortex/{name}@sha256:{'0' * 64}" for name in PUSHED}
    digests.write_text(json.dumps(pushed), encoding="utf-8")
    found = images_check.check(ground(load_profile("cortex-8b"), *read_documents(path), digests=digests))
    assert found.ok is None and "does not answer" in found.detail, "no image is unknown; their registry is not there"


def test_the_teacher_s_disk_holds_the_weights_that_it_serves() -> None:
    (task,) = read_documents(CHECKOUT / "jobs" / "teacher.yaml")
    assert task["envs"]["TEACHER_MODEL"].endswith("-Llama-70B")
    weights = 2 * shape_of(load_profile("cortex-70b")).parameters / GIB
    assert task["resources"]["disk_size"] > disk_check.SYSTEM + weights


def test_a_profile_that_does_not_fit_onto_its_gpus_is_refused_with_the_key_to_change() -> None:
    found = memory_check.check(ground(load_profile("cortex-8b")))
    assert found.ok and "GiB of a GPU" in found.detail
    found = memory_check.check(ground(load_profile("cortex-8b", {"grpo.vllm.gpu_memory_utilization": 0.85})))
    assert found.ok is False and "grpo rollout" in found.detail
    assert found.fix == "set grpo.vllm.gpu_memory_utilization to 0.79"


EXPORT = {"name": "export", "run": "cortex run export"}


@pytest.mark.parametrize(
    ("asked", "small"), [("100+", 100), (100, 100), ("0.1TB", 102.4), ("512+", None), ("8x", None), (None, None)]
)
def test_a_task_that_asks_for_less_memory_than_its_stages_fill_is_refused(
    asked: str | int | None, small: float | None
) -> None:
    resources = {"accelerators": "H100:1"} | ({"memory": asked} if asked else {})
    found = memory_check.check(ground(load_profile("cortex-70b"), EXPORT | {"resources": resources}))
    if small is None:
        assert found.ok, found
        return
    assert found.ok is False and f"task export may be given {small:g} GiB of host memory, and export " in found.detail
    least = int(str(found.fix).removeprefix("memory: ").partition("+")[0])
    mended = {"resources": {"memory": f"{least}+"}}
    assert memory_check.check(ground(load_profile("cortex-70b"), EXPORT | mended)).ok
    short = {"resources": {"any_of": [{"memory": f"{least}+"}, {"memory": f"{least - 1}+"}]}}
    assert memory_check.check(ground(load_profile("cortex-70b"), EXPORT | short)).ok is False, (
        "any of them may be given"
    )


@pytest.mark.parametrize("name", ["cortex-8b", "cortex-8b-full", "cortex-70b", "cortex-70b-2n"])
def test_the_shipped_tasks_ask_for_the_memory_that_the_shipped_profiles_fill(name: str) -> None:
    found = memory_check.check(ground(load_profile(name), *read_documents(SKY_YAML)))
    assert found.ok, found


def test_memory_is_not_judged_where_nothing_is_known_of_the_gpu(profile: Profile) -> None:
    assert memory_check.check(ground(profile)).ok is None
    found = memory_check.check(ground(load_profile("cortex-8b", {"hardware.accelerator": "V100"})))
    assert found.ok is None and "'V100'" in found.detail
