from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile_file import draft_profile, load_profile
from tests.domains.markets.tables import markets_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(path: Path, **values: Any) -> str:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return str(path)


def test_a_profile_that_extends_another_says_only_what_differs(folder: Path) -> None:
    base = load_profile("rehearsal")
    made = load_profile(write(folder / "a.yaml", extends="rehearsal", name="a", sft={"max_steps": 7}, dpo=None))
    assert (made.name, made.sft.max_steps, made.dpo) == ("a", 7, None)
    assert made.sft.model_copy(update={"max_steps": base.sft.max_steps}) == base.sft
    assert (made.model, made.domain, made.grpo, made.seed) == (base.model, base.domain, base.grpo, base.seed)


def test_a_path_is_of_the_file_that_extends_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "in").mkdir()
    write(folder / "mine.yaml", extends="rehearsal", name="mine", seed=5)
    path = write(folder / "in" / "a.yaml", extends="../mine.yaml", name="a")
    monkeypatch.chdir(folder)
    assert load_profile(path).seed == load_profile("in/a.yaml").seed == 5
    monkeypatch.setenv("MINE", str(folder))
    assert load_profile(write(folder / "b.yaml", extends="$MINE/mine.yaml", name="b")).seed == 5


def test_a_section_of_another_kind_replaces_the_one_before(folder: Path) -> None:
    # Its keys are others: chains and days are not keys of the source `files`.
    source = {"kind": "files", "paths": ["/data"]}
    made = load_profile(write(folder / "a.yaml", extends="rehearsal", name="a", domain={"source": source}))
    assert markets_of(made).source.model_dump(mode="json") == {
        "kind": "files",
        "paths": ["/data"],
        "symbols": None,
        "metrics": None,
        "bars": "days",
        "stamps": "open",
        "zone": None,
        "unused": [],
    }
    same = load_profile(write(folder / "b.yaml", extends="rehearsal", name="b", domain={"source": {"days": 900}}))
    assert markets_of(same).source.model_dump() == {
        **markets_of(load_profile("rehearsal")).source.model_dump(),
        "days": 900,
    }


def test_a_list_replaces_the_one_before(folder: Path) -> None:
    copies = [{"bits": 8, "max_kl": 0.1, "max_loss_rise": None}]
    made = load_profile(write(folder / "a.yaml", extends="rehearsal", name="a", export={"gptq": copies}))
    assert [copy.bits for copy in made.export.gptq] == [8]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("grpo.learning_rate=1e-5", "grpo.learning_rate", 1e-5),
        ("seed=7", "seed", 7),
        ("domain.style=full", "domain.style", "full"),
        ("dpo=null", "dpo", None),
        ("tracking=[tensorboard, mlflow]", "tracking", ("tensorboard", "mlflow")),
        ("domain.source={kind: files, paths: [a=b.csv]}", "domain.source.paths", (Path("a=b.csv"),)),
        ("teacher.url=http://127.0.0.1:8000/v1", "teacher.url", "http://127.0.0.1:8000/v1"),
    ],
)
def test_one_value_is_changed_on_the_command_line(text: str, key: str, value: object) -> None:
    found: Any = load_profile("rehearsal", sets=["seed=1", text])
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_the_command_line_wins_and_its_last_word_first() -> None:
    assert load_profile("rehearsal", {"seed": 3}, ["seed=4", "seed=5"]).seed == 5


def test_each_value_says_where_it_was_written(folder: Path) -> None:
    middle = write(folder / "middle.yaml", extends="rehearsal", name="middle", sft={"max_steps": 7}, seed=2)
    last = write(folder / "last.yaml", extends="middle.yaml", name="last", sft={"save_steps": 7}, dpo=None)
    draft = draft_profile(last, sets=["sft.warmup_steps=1"])
    base = "jobs/profiles/rehearsal.yaml"
    assert draft.origin(("name",)) == draft.origin(("sft", "save_steps")) == draft.origin(("dpo",)) == last
    assert draft.origin(("seed",)) == draft.origin(("sft", "max_steps")) == middle
    assert draft.origin(("sft", "warmup_steps")) == "--set sft.warmup_steps=1"
    assert draft.origin(("model", "scratch", "layers")) == base
    assert draft.origin(("model", "revision")) is None
    assert draft_profile(last, sets=["sft={}"]).origin(("sft", "max_steps")) == "--set sft={}"


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises((ConfigError, UsageError)) as raised:
        load_profile(*arguments, **named)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_wrong_value_names_the_file_that_it_stands_in(folder: Path) -> None:
    wrong = write(folder / "wrong.yaml", extends="rehearsal", name="wrong", sft={"max_step": 7})
    above = write(folder / "above.yaml", extends="wrong.yaml", name="above")
    assert refusal(wrong) == f"{wrong}: sft: unknown key 'max_step': did you mean 'max_steps'?"
    assert refusal(above) == f"{above}, which extends {wrong}: sft: unknown key 'max_step': did you mean 'max_steps'?"
    value = write(folder / "value.yaml", extends="rehearsal", name="value", seed="x")
    assert refusal(write(folder / "of.yaml", extends="value.yaml", name="of")).startswith(
        f"{folder}/of.yaml, which extends {value}: seed: "
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "grpo.learnin_rate=1",
            "with --set grpo.learnin_rate=1: grpo: unknown key 'learnin_rate': did you mean 'learning",
        ),
        ("gpro.learning_rate=1", "with --set gpro.learning_rate=1: unknown key 'gpro': did you mean 'grpo'?"),
        ("seed=x", "with --set seed=x: seed: Input should be a valid integer (given: 'x')"),
        ("seed.x=1", "with --set seed.x=1: seed: Input should be a valid integer"),
        ("seed", "--set 'seed' is no key=value: write it as grpo.learning_rate=1e-5"),
        ("=3", "--set '=3' is no key=value"),
        ("a..b=3", "--set 'a..b=3' is no key=value"),
        ("seed=", "--set 'seed=' has no value: write seed=null for none"),
        ("seed=[1", "--set seed=[1 is not YAML"),
        ("seed=1_000", "--set seed=1_000, line 1: '1_000' is read as 1000 or as a text"),
        ("extends=cortex-8b", "with --set extends=cortex-8b: unknown key 'extends'"),
    ],
)
def test_a_wrong_change_is_named_as_it_was_typed(text: str, message: str) -> None:
    assert message in refusal("rehearsal", sets=[text])


def test_a_profile_that_extends_itself_is_refused_with_the_way(folder: Path) -> None:
    own = write(folder / "own.yaml", extends="own.yaml", name="own")
    assert refusal(own) == f"{own}: extends 'own.yaml' leads back to itself (own -> own): remove one of these"
    write(folder / "b.yaml", extends="c.yaml", name="b")
    write(folder / "c.yaml", extends="./b.yaml", name="c")
    assert "(a -> b -> c -> b)" in refusal(write(folder / "a.yaml", extends="b.yaml", name="a"))


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("rehearsel", "extends 'rehearsel', which is not there: did you mean 'rehearsal'?"),
        ("./none.yaml", "extends './none.yaml', which is not there: known are chess-8b"),
        (["rehearsal"], "extends names one profile, in jobs/profiles/ or by its path (given: ['rehearsal'])"),
        (7, "(given: 7)"),
        ("$NO_SUCH_VARIABLE/a.yaml", "names the variable $NO_SUCH_VARIABLE, which is not set"),
    ],
)
def test_what_cannot_be_extended_is_named(folder: Path, extends: object, message: str) -> None:
    path = write(folder / "a.yaml", extends=extends, name="a")
    assert message in refusal(path)
    assert path in refusal(path)


def test_a_name_is_not_passed_on(folder: Path) -> None:
    assert "name: Field required" in refusal(write(folder / "a.yaml", extends="rehearsal"))
