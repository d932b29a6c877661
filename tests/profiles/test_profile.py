import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.domains.markets.config import FilesConfig
from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from tests.domains.markets.tables import markets_of

SHIPPED = sorted(path.stem for path in PROFILES.glob("*.yaml"))


def changed(**values: Any) -> Profile:
    return load_profile("rehearsal", {key.replace("__", "."): value for key, value in values.items()})


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_loads_and_keeps_its_identity_in_the_bucket(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    again = Profile.from_json(profile.to_json(), "profile.json")
    assert (again, again.digest) == (profile, profile.digest)
    assert load_profile(str(PROFILES / f"{name}.yaml")) == profile


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("sead", "seed"),
        ("modle", "model"),
        ("model.scratch.layer", "layers"),
        ("model.licens", "licence"),
        ("domain.horizon", "horizon_days"),
        ("domain.source.chain", "chains"),
        ("domain.source.day", "days"),
        ("teacher.concurency", "concurrency"),
        ("sft.learning_rat", "learning_rate"),
        ("sft.sequence_lenght", "sequence_length"),
        ("grpo.groupsize", "group_size"),
        ("domain.rewards.probabilty", "probability"),
        ("grpo.vllm.gpu_memory", "gpu_memory_utilization"),
        ("dpo.sample", "samples"),
        ("export.calibration", "calibration_examples"),
        ("evaluate.resample", "resamples"),
        ("hardware.gpu", "gpus"),
        ("budget.dollar", "dollars"),
    ],
)
def test_an_unknown_key_suggests_the_right_one(key: str, meant: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_profile("rehearsal", {key: 1})
    message = str(raised.value)
    assert message.endswith(f"unknown key {key.rpartition('.')[2]!r}: did you mean {meant!r}?")
    assert key.rpartition(".")[0] in message and "rehearsal.yaml" in message


def test_an_unknown_key_in_a_list_suggests_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"export\.gptq\.0: unknown key 'bit': did you mean 'bits'"):
        changed(export__gptq=[{"bit": 4, "max_kl": 0.1, "max_loss_rise": 0.1}])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"budget__dollars": -5}, r"budget\.dollars: .*greater than or equal to 0 \(given: -5\)"),
        ({"budget__dollars": float("inf")}, r"budget\.dollars: .*finite"),
        ({"budget__failed_dollars": 0}, r"budget\.failed_dollars: .*null for no wall \(given: 0\)"),
        ({"budget__failed_launches": 0}, r"budget\.failed_launches: .*its first launch: give more than 0"),
        ({"budget__failed_launches": 2.5}, r"budget\.failed_launches: .*integer"),
        ({"budget__failed_dollars": float("nan")}, r"budget\.failed_dollars: .*"),
        ({"sft__learning_rate": float("nan")}, r"sft\.learning_rate: .*finite"),
        ({"sft__max_steps": 0}, r"sft\.max_steps"),
        ({"sft__max_steps": "many"}, r"sft\.max_steps: .*\(given: 'many'\)"),
        ({"grpo__save_steps": 20, "grpo__iterations": 3}, r"save_steps 20 is not a multiple of the 3 opt.*use 21"),
        ({"grpo__micro_batch_size": 6}, r"= 6 is not a multiple of group_size 4: the nearest that is: 8"),
        ({"domain__source": {"kind": "simulater"}}, r"domain\.source: .*'simulater'.*'simulator', 'files', 'flipside'"),
        (
            {"domain__source": {"chains": 3}},
            r"source: give its `kind`, .*: simulator, files, flipside, public, dune or ecb",
        ),
        ({"domain__source": {"kind": "files", "paths": []}}, r"domain\.source\.paths"),
        ({"domain__train_fraction": 0.9}, r"leave nothing for the test split"),
        ({"domain__horizon_days": 0}, r"domain\.horizon_days"),
        ({"model__base": "some/model"}, r"exactly one of `base`"),
        ({"model__scratch": None}, r"exactly one of `base`"),
        ({"model__adapter": {"r": 8}}, r"remove `adapter`"),
        ({"name": "My Profile"}, r"name: .*pattern"),
        ({"seed": -1}, r"seed"),
        ({"teacher__port": 70_000}, r"teacher\.port"),
        ({"tracking": ["wandb", "tensorboard", "wandb"]}, r"tracking names wandb twice, .*: remove one"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        changed(**values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML"),
        ("- a\n- b\n", "is not a YAML mapping"),
        ("", "is not a YAML mapping"),
        ("name: a\n", "model: Field required"),
        ("name: a\nmodel: {base: b}\n", "domain: Field required; its `kind` says what to learn: .*markets"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_file_that_is_no_profile_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        load_profile(str(path))
    assert str(path) in str(raised.value)


def test_bytes_that_are_no_text_and_folders_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"seed: 1\nname: \xff\xfe")
    (tmp_path / "folder.yaml").mkdir()
    for name, fault in {"bytes.yaml": "is not YAML: line 2 is not UTF-8", "folder.yaml": "cannot be read"}.items():
        with pytest.raises(ConfigError, match=f"{name} {fault}"):
            load_profile(str(tmp_path / name))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("seed: true", r"seed: .*valid integer \(given: True\)"),
        ("seed: 1.0", r"seed: .*valid integer \(given: 1\.0\)"),
        ('seed: "3"', r"seed: .*valid integer \(given: '3'\)"),
        ("seed: 2020-01-01", r"seed: .*valid integer \(given: '2020-01-01'\)"),
        ("seed: 1:30", r"line \d+: '1:30' is read as 90 or as a text"),
        ("seed: 012", r"line \d+: '012' is read as 10 or as a text"),
        ("budget: {dollars: yes}", r"'yes' is read as true or as a text"),
        ("budget: {dollars: true}", r"budget\.dollars: .*valid number \(given: True\)"),
        ('budget: {dollars: "500"}', r"budget\.dollars: .*valid number \(given: '500'\)"),
        ("budget: {dollars: .inf}", r"'\.inf' is no finite number"),
        ("budget: {dollars: 5, dollars: 500}", r"'dollars' is given twice, first in line \d+: keep one of them"),
        (
            "domain: {kind: markets, source: {kind: simulator, start: 20200101}}",
            r"domain\.source\.start: .*valid date \(given: 20200101\)",
        ),
        (
            "domain: {kind: markets, source: {kind: simulator, start: 2020-13-01}}",
            r"domain\.source\.start: .*month must be in 1\.\.12",
        ),
        (
            "domain: {kind: markets, source: {kind: files, paths: [$NOT_SET/x.csv]}}",
            r"domain\.source\.paths.*\$NOT_SET, which is not set",
        ),
    ],
)
def test_a_value_of_another_kind_is_named(line: str, fault: str, tmp_path: Path) -> None:
    key = line.partition(":")[0]
    kept = [text for text in _blocks("rehearsal") if not text.startswith(f"{key}:")]
    (tmp_path / "mine.yaml").write_text("".join([*kept, line, "\n"]))
    with pytest.raises(ConfigError, match=fault) as raised:
        load_profile(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(raised.value) and "mine.yaml" in str(raised.value)


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    shipped = (PROFILES / "rehearsal.yaml").read_text()
    text = re.sub(r"learning_rate: \S+", "learning_rate: 2e-5", shipped)
    assert text != shipped
    (tmp_path / "mine.yaml").write_text(text)
    assert load_profile(str(tmp_path / "mine.yaml")).sft.learning_rate == 2e-5


def test_home_folders_and_variables_stand_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA", "prices")
    (tmp_path / "mine.yaml").write_text((PROFILES / "rehearsal.yaml").read_text())
    source = {"kind": "files", "paths": ["~/a.csv", "$HOME/b.csv", "${HOME}/$DATA/c.csv"]}
    for path in ("~/mine.yaml", "$HOME/mine.yaml"):
        read = markets_of(load_profile(path, {"domain.source": source})).source
        assert isinstance(read, FilesConfig)
        assert read.paths == (tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "prices/c.csv")
    based = changed(model__scratch=None, model__base="~/model")
    assert based.model.base == str(tmp_path / "model")


def _blocks(name: str) -> list[str]:
    """A shipped profile's text, top-level key by top-level key."""
    return re.split(r"^(?=\w)", (PROFILES / f"{name}.yaml").read_text(), flags=re.MULTILINE)


def test_a_profile_that_is_not_there_suggests_one_that_is() -> None:
    with pytest.raises(ConfigError, match=r"^no profile 'rehersal': did you mean 'rehearsal'"):
        load_profile("rehersal")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [path] if inside is None else [leaf for key, item in inside for leaf in leaves(item, (*path, key))]


def test_the_digest_changes_with_every_number_and_only_then() -> None:
    raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
    del raw["expect"]  # no key of the profile itself
    del raw["export"]["gptq"][1]  # so that the other's bits may become these
    digest = Profile.model_validate(raw).digest
    assert Profile.model_validate(dict(reversed(raw.items()))).digest == digest
    doubled = 0
    for path in leaves(raw):
        other = copy.deepcopy(raw)
        inner = other
        for key in path[:-1]:
            inner = inner[key]
        if isinstance(inner[path[-1]], int | float) and path not in (("data", "source", "chains"),):
            inner[path[-1]] = 4 if path[-1] == "bits" else inner[path[-1]] * 2 or 1
            if path[-1] == "top_p":
                inner["top_p"] = 0.5
            assert Profile.model_validate(other).digest != digest, path
            doubled += 1
    assert doubled > 20


def test_two_copies_of_the_same_bits_are_refused() -> None:
    """They would share one folder: the second copy would replace the first, or be taken for it."""
    copies = [{"bits": 4, "group_size": size, "max_kl": 0.1, "max_loss_rise": 0.1} for size in (32, 128)]
    with pytest.raises(ConfigError, match=r"export: gptq has two copies of 4 bits, .* called gptq-w4: remove one"):
        load_profile("rehearsal", {"export.gptq": copies})


def test_a_score_of_answers_that_are_cut_is_refused() -> None:
    copies = [{"bits": 8, "group_size": 128, "max_kl": 0.1, "max_loss_rise": 0.1}]
    with pytest.raises(ConfigError, match=r"export: answers that end at answer_tokens cannot be judged"):
        load_profile("rehearsal", {"export.gptq": copies, "export.answer_tokens": 16})
    assert load_profile(
        "rehearsal", {"export.gptq": [{**copies[0], "max_loss_rise": None}], "export.answer_tokens": 16}
    )


GGUF = {"type": "q4_k_m", "max_kl": 0.1, "max_loss_rise": None}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"export.gguf": [GGUF, GGUF]},
            r"export: gguf has two copies of type q4_k_m, .* called gguf-q4_k_m: remove one",
        ),
        ({"export.gguf": [{**GGUF, "type": "q4_k"}]}, r"export\.gguf\.0\.type: .*'q4_k_m'.*given: 'q4_k'"),
        ({"export.gguf": [{**GGUF, "tensors": {"attn_(": "q6_k"}}]}, r"'attn_\(' is no regular expression"),
        ({"export.gguf": [{**GGUF, "tensors": {"attn_v": "q4_k_m"}}]}, r"tensors\.attn_v: "),
        (
            {"export.gguf": [{**GGUF, "max_loss_rise": 0.1}], "export.answer_tokens": 16},
            "answers that end at answer_tok",
        ),
        ({"export.release": ["gguf-q8_0"]}, r"release names 'gguf-q8_0', which no export makes: choose of model, adap"),
        ({"export.release": []}, "release names no folder: name `model` or a copy"),
        ({"export.release": ["adapter"]}, r"export\.release names `adapter`, and this profile trains none"),
        ({"export.gguf": [GGUF], "model.scratch.pieces": "words"}, r"model\.scratch\.pieces words: set them to gpt2"),
    ],
)
def test_gguf_copies_and_releases_that_cannot_be_are_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load_profile("rehearsal", {"model.scratch.pieces": "gpt2"} | changes)


def test_a_profile_without_the_newer_keys_of_export_keeps_its_hash() -> None:
    plain = load_profile("rehearsal")
    assert b"gguf" not in plain.to_json() and b'"release"' not in plain.to_json()
    chosen = {"model.scratch.pieces": "gpt2", "export.gguf": [{**GGUF, "tensors": {"attn_v": "q6_k"}}]}
    made = load_profile("rehearsal", chosen | {"export.release": ["gguf-q4_k_m"]})
    assert Profile.from_json(made.to_json(), "here") == made


def test_the_digest_does_not_depend_on_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = load_profile("rehearsal").digest
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "TZ", "Asia/Tokyo")
    assert load_profile("rehearsal").digest == digest


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "files", "paths": ["/data/daily.parquet", "more"], "symbols": ["BTC"], "metrics": []},
        {"kind": "flipside", "chains": ["near", "solana"], "start": "2021-03-01", "end": "2024-01-01"},
        {"kind": "simulator", "chains": 2, "days": 400, "start": "2019-01-01"},
    ],
    ids=lambda source: source["kind"],
)
def test_every_kind_of_source_comes_back_from_the_bucket(source: dict[str, Any]) -> None:
    profile = changed(domain__source=source)
    again = Profile.from_json(profile.to_json(), "profile.json")
    assert (again, again.digest) == (profile, profile.digest)


def test_a_stored_profile_that_was_tampered_with_is_named() -> None:
    with pytest.raises(ConfigError, match=r"runs/a/profile\.json: "):
        Profile.from_json(b'{"name": 1', "runs/a/profile.json")


def test_a_revision_is_a_commit_of_a_model_of_the_hub() -> None:
    def of(**model: Any) -> Profile:
        return changed(model={"base": "owner/model", **model})

    pinned = of(revision="0" * 40)
    assert pinned.model.revision == "0" * 40 and pinned.digest != of().digest
    for revision in ("main", "0" * 39, "A" * 40, "0" * 41):
        with pytest.raises(ConfigError, match=r"model\.revision"):
            of(revision=revision)
    here = [{"base": base} for base in ("./model", "~/model", "/model")]
    for model in (*here, {"base": None, "scratch": {"layers": 1}}):
        with pytest.raises(ConfigError, match="a base of this machine has none; remove it"):
            of(revision="0" * 40, **model)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"dpo": {"learning_rate": 1e-6, "max_steps": 1, "save_steps": 1}}, "dpo samples its pairs on one machine"),
        (
            {"reward_model": {"learning_rate": 1e-6, "max_steps": 1, "save_steps": 1}},
            "reward_model samples its pairs on one machine",
        ),
        ({"hardware.sharding": "fsdp"}, r"hardware.sharding: Input should be 'fsdp2' or 'zero3'"),
        ({"hardware.nodes": 0}, "hardware.nodes"),
    ],
)
def test_what_several_machines_cannot_do_is_refused(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load_profile("cortex-70b-2n", change)


def test_the_wall_changes_a_profiles_hash_only_where_it_is_set() -> None:
    plain = changed(budget__dollars=5.0)
    assert json.loads(plain.to_json())["budget"] == {"dollars": 5.0}
    assert changed(budget__failed_launches=5, budget__failed_dollars=40.0, budget__dollars=5.0).digest == plain.digest
    walled = changed(budget__failed_launches=None, budget__failed_dollars=7.5, budget__dollars=5.0)
    assert walled.digest != plain.digest
    read = Profile.from_json(walled.to_json(), "here")
    assert (read.budget.failed_launches, read.budget.failed_dollars) == (None, 7.5) and read == walled


def test_a_debate_is_written_only_where_there_is_one_and_needs_a_domain_that_offers_it() -> None:
    plain = load_profile("rehearsal")
    assert "debate" not in plain.model_dump()["evaluate"]
    held = changed(evaluate__debate=True)
    assert held.model_dump()["evaluate"]["debate"] is True and held.digest != plain.digest
    with pytest.raises(ConfigError, match=r"evaluate\.debate: domain gym offers no debate: leave the key out"):
        load_profile("gym-8b", {"evaluate.debate": True})
    assert changed(evaluate__base_at_once=True).digest != plain.digest
    with pytest.raises(ConfigError, match=r"evaluate\.base_at_once: domain gym has no form"):
        load_profile("gym-8b", {"evaluate.base_at_once": True})


LEARNED: dict[str, Any] = {
    "reward_model": {"learning_rate": 1e-5, "max_steps": 4, "save_steps": 2},
    "grpo.reward": "reward_model",
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"reward_model": None}, "grpo.reward is reward_model, and there is no section of that name"),
        ({"grpo.validate_steps": None}, "only validations compare it with the truth: set grpo.validate_steps"),
        ({"reward_model.pairs": "labels"}, "reward_model.pairs labels pairs the teacher's samples, and there is one"),
        ({"reward_model.trl": {"beta": 0.1}}, "unknown key 'beta'"),
        ({"reward_model.trl": {"chat_template_path": "x"}}, "the base's own template decides"),
        ({"grpo.reward": "model"}, "Input should be 'domain' or 'reward_model'"),
        ({"grpo.collapse": {"misled": 0.7}}, "grpo.collapse.misled"),
    ],
)
def test_a_reward_is_learned_only_where_there_is_what_it_takes(change: dict[str, Any], fault: str) -> None:
    load_profile("rehearsal", LEARNED)
    with pytest.raises(ConfigError) as caught:
        load_profile("rehearsal", {**LEARNED, **change})
    assert fault in str(caught.value) and "\n" not in str(caught.value)


def test_keys_of_learned_rewards_change_a_profiles_hash_only_where_they_are_set() -> None:
    plain = load_profile("rehearsal")
    raw = json.loads(plain.to_json())
    assert "reward_model" not in raw and "reward" not in raw["grpo"] and "misled" not in raw["grpo"]["collapse"]
    assert (
        load_profile("rehearsal", {"grpo.reward": "domain", "grpo.collapse": {"misled": 0.05}}).digest == plain.digest
    )
    learned = load_profile("rehearsal", LEARNED)
    assert Profile.from_json(learned.to_json(), "here") == learned != plain
