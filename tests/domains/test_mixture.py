import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cortex.domains
from cortex.domains.dataset import build_dataset, describe_dataset, read_split
from cortex.domains.dataset_description import describe_part
from cortex.domains.domain import Domain
from cortex.domains.example_columns import SCHEMA, read_rows
from cortex.domains.mixture import Mixture, read_described
from cortex.domains.registry import read_domain
from cortex.drill.stage_inputs import make_data
from cortex.drill.stand_in import stand_in
from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.settings import CHECKOUT, Settings

MARKETS: dict[str, Any] = {
    "kind": "markets",
    "style": "compact",
    "source": {"kind": "simulator", "chains": 1, "days": 450},
}
TALLY: dict[str, Any] = {"kind": "tally", "words": 600}

GYM: dict[str, Any] = {
    "kind": "gym",
    "style": "compact",
    "tasks": {"spell_backward": {}},
    "examples": 200,
    "validation_examples": 20,
    "test_examples": 40,
}


@pytest.fixture(autouse=True)
def _knows_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [*cortex.domains.__path__, str(CHECKOUT / "examples" / "domains")]
    monkeypatch.setattr(cortex.domains, "__path__", folders)


def mixture(*parts: dict[str, Any]) -> Mixture:
    found = read_described({"kind": "mixture", "domains": list(parts)})
    assert isinstance(found, Mixture)
    return found


def build(domain: Domain) -> pl.DataFrame:
    """The domain's examples."""
    return domain.build(3, Settings()).examples


BOTH = ({"weight": 3, "domain": TALLY}, {"domain": MARKETS})


def test_training_examples_are_shared_by_weight_and_the_other_splits_stay_whole() -> None:
    both = mixture(*BOTH)
    examples = build(both)
    train = examples.filter(pl.col("split") == "train")
    counts = Counter(both.part_of(name) for name in train["id"])
    assert counts["tally"] == pytest.approx(3 * counts["markets"], abs=3)
    alone = {name: build(part) for name, part in both.parts().items()}
    assert min(counts[name] / len(alone[name].filter(split="train")) for name in counts) < 1
    assert max(counts[name] / len(alone[name].filter(split="train")) for name in counts) > 0.99
    for split in ("validation", "test"):
        for name, rows in alone.items():
            assert len(both.rows_of(name, examples.filter(split=split))) == len(rows.filter(split=split))


def test_any_stretch_of_a_split_holds_the_domains_in_proportion() -> None:
    both = mixture(*BOTH)
    train = build(both).filter(split="train")
    for start in range(0, len(train) - 80, 40):
        counts = Counter(both.part_of(name) for name in train["id"][start : start + 40])
        assert 9 <= counts["markets"] <= 11, counts


def test_a_domain_gets_its_own_rows_and_columns_back() -> None:
    both = mixture(*BOTH)
    examples = build(both)
    for name, part in both.parts().items():
        alone, own = build(part), both.rows_of(name, examples)
        assert own.columns == [*SCHEMA, *(column for column in alone.columns if column not in SCHEMA)]
        kept = alone.filter(pl.col("id").is_in(own["id"].to_list()))
        assert own.sort("id").equals(kept.select(own.columns).sort("id"))
        splits = {split: own.filter(split=split) for split in ("train", "test")}
        assert part.scale.reference in part.baselines(splits["train"], splits["test"])


def test_equal_seeds_give_equal_examples() -> None:
    assert build(mixture(*BOTH)).equals(build(mixture(*BOTH)))


def test_each_domain_judges_its_own_examples_by_its_own_weights() -> None:
    three = mixture(*BOTH, {"domain": GYM})  # whose verifier needs an example's own id
    examples = build(three)
    for name, part in three.parts().items():
        own = {example.id: example for example in read_rows(three.rows_of(name, examples))}
        for example in [row for row in read_rows(examples) if three.part_of(row.id) == name][:5]:
            alone = own[example.id.removeprefix(f"{name}/")]
            reply = three.script(example, 3)
            assert reply == part.script(alone, 3)
            mine, theirs = three.grade(example, reply), part.grade(alone, reply)
            assert (mine.loss, mine.valid, mine.numbers) == (theirs.loss, theirs.valid, theirs.numbers)
            assert dict(mine.parts) == {f"{name}/{key}": value for key, value in theirs.parts.items()}
            assert three.reward(mine) == part.reward(theirs)
            assert three.imitable(example, reply) == part.imitable(alone, reply)
    assert set(three.weights()) == {f"{n}/{w}" for n, part in three.parts().items() for w in part.weights()}


def test_a_domain_learns_only_from_its_own_labels() -> None:
    two = mixture({"name": "daily", "domain": MARKETS}, {"name": "weekly", "domain": {**MARKETS, "horizon_days": 7}})
    example = next(iter(read_rows(two.rows_of("daily", build(two)))))
    words = {"weekly/x": (*example.messages, example.messages[-1]._replace(content="flibbertigibbet"))}
    informed = two.with_labels(words).parts()
    assert "flibbertigibbet" in informed["weekly"]._vocabulary  # type: ignore[attr-defined]
    assert "flibbertigibbet" not in informed["daily"]._vocabulary  # type: ignore[attr-defined]


def test_a_dataset_describes_each_domain(tmp_path: Path) -> None:
    both = mixture(*BOTH)
    build_dataset(both, 3, Settings(), tmp_path / "out")
    described = describe_dataset(tmp_path / "out")
    assert described["domain"] == "mixture"
    train = read_split(tmp_path / "out", "train")
    for name in both.parts():
        part = describe_part(described, name)
        assert part["source"]["name"] == {"tally": "tally", "markets": "simulator"}[name]
        assert part["splits"]["train"]["examples"] == len(both.rows_of(name, train))
        assert described["splits"]["train"][name] == len(both.rows_of(name, train))


def test_it_is_read_back_as_it_was_written() -> None:
    both = mixture(*BOTH)
    assert read_described(both.model_dump(mode="json")) == both
    assert read_described(TALLY) == read_domain(TALLY)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([{"weight": 0, "domain": TALLY}], "domains.0.weight: .*greater than 0.*given: 0"),
        ([{"weight": -1, "domain": TALLY}, {"domain": MARKETS}], "two.yaml: domains.0.weight"),
        ([{"domain": TALLY}, {"domain": TALLY}], "2 domains are called 'tally': give each a `name`"),
        ([{"domain": {**TALLY, "wrods": 3}}], "domains.0.domain: unknown key 'wrods': did you mean 'words'"),
        ([{"domain": {"kind": "tallly"}}], "no domain 'tallly': did you mean 'tally'"),
        ([{"name": "model", "domain": TALLY}], "a domain called 'model' would share the release's folder of weights"),
        ([{"name": "gptq-w8", "domain": TALLY}], "a domain called 'gptq-w8' would share"),
        ([], "domains: .*at least 1"),
        ([{"weight": 2}], "domains.0.domain: Field required"),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(tmp_path: Path, parts: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        profile(tmp_path, "extends: rehearsal\nname: two\n", parts)
    assert "\n" not in str(refused.value)


def test_a_profile_that_lists_domains_replaces_the_one_that_it_extends(tmp_path: Path) -> None:
    two = profile(tmp_path, "extends: rehearsal\nname: two\n", list(BOTH))
    assert list(two.domain.parts()) == ["tally", "markets"]
    assert Profile.from_json(two.to_json(), "profile.json") == two


def test_a_profile_gives_either_one_domain_or_several(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both `domain` and `domains`"):
        profile(tmp_path, "extends: rehearsal\nname: two\ndomain: {kind: markets}\n", list(BOTH))


def test_the_command_line_may_list_domains() -> None:
    listed = json.dumps(BOTH)
    assert list(load_profile("rehearsal", sets=[f"domains={listed}"]).domain.parts()) == ["tally", "markets"]


def test_a_drill_takes_small_variants_of_all(tmp_path: Path) -> None:
    two = profile(tmp_path, "extends: rehearsal\nname: two\n", list(BOTH))
    standin = stand_in(two, "grpo", tmp_path)
    assert standin.profile.domain == mixture(*BOTH).small()
    make_data(standin.profile, tmp_path / "made")


def profile(folder: Path, head: str, parts: list[Any]) -> Profile:
    path = folder / "two.yaml"
    path.write_text(f"{head}domains: {json.dumps(parts)}\n", encoding="utf-8")
    return load_profile(str(path))
