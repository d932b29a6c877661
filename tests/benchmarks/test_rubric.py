from pathlib import Path

import pytest
import yaml

from cortex.benchmarks.rubric import read_rubric
from cortex.errors import ConfigError, UsageError
from cortex.settings import CHECKOUT, Settings

GIVEN = {"judge": {"url": "http://127.0.0.1:8000/v1", "model": "m"}, "criteria": {"plain": "Each step is plain."}}


def test_the_example_is_a_rubric() -> None:
    found = read_rubric(CHECKOUT / "examples" / "rubric.yaml")
    assert list(found.criteria) == ["grounded", "consistent", "weighed", "plain"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"criteria": {}}, "criteria"),
        ({"criteria": {"overall": "Better in all."}}, "a criterion cannot be called 'overall'"),
        ({"criteria": {"Two words": "Good."}}, "criteria"),
        ({"judge": {"model": "m"}}, r"judge\.url"),
        ({"judge": {"url": "ftp://x", "model": "m"}}, r"judge\.url"),
        ({"judge": GIVEN["judge"] | {"dollars": 5.0}}, "the judge has no `price`"),
        ({"judge": GIVEN["judge"] | {"modle": "x"}}, "did you mean 'model'"),
    ],
)
def test_a_wrong_key_is_named(changes: dict[str, object], named: str, tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(GIVEN | changes))
    with pytest.raises(ConfigError, match=named) as caught:
        read_rubric(path)
    assert str(path) in str(caught.value)
    with pytest.raises(UsageError, match="is not there"):
        read_rubric(tmp_path / "none.yaml")


def test_a_key_is_not_sent_for_others_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_JUDGE_API_KEY", "sk-of-the-judge")
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(GIVEN))
    assert read_rubric(path).endpoint(Settings()).api_key == "sk-of-the-judge"
    path.write_text(yaml.safe_dump(GIVEN | {"judge": {"url": "http://judge.example/v1", "model": "m"}}))
    with pytest.raises(ConfigError, match="CORTEX_JUDGE_API_KEY would travel"):
        read_rubric(path).endpoint(Settings())
