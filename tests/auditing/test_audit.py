"""Audits find each planted leak, and nothing in a dataset that has none."""

from pathlib import Path

import pytest

from tests.drawn_cases import draw_cases

from .planted_leaks import LEAKS, audit_market

SEEDS = draw_cases(range(20), 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKS)
def test_a_planted_leak_is_found(kind: str, seed: int, tmp_path: Path) -> None:
    leak = LEAKS[kind]
    found = leak.audit(seed, tmp_path).findings
    assert leak.check in {finding.check for finding in found}, f"found only {[str(finding) for finding in found]}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("files", [False, True], ids=["simulated", "files"])
def test_nothing_is_found_in_a_dataset_without_leaks(files: bool, seed: int, tmp_path: Path) -> None:
    audit = audit_market(seed, tmp_path, files=files)
    assert [str(finding) for finding in audit.findings] == []
    assert "3 times from 3 symbols" in audit.domains["markets"].rebuilt


def test_of_many_examples_some_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audit_market(0, tmp_path)
    monkeypatch.setattr("cortex.auditing.audit.MOST", 200)
    (tmp_path / "some").mkdir()
    some = audit_market(0, tmp_path / "some")
    assert some.findings == whole.findings == ()
    assert some.domains["markets"].notes[-1].startswith("one of 4 examples was looked at, of 6")
    counts = [sum(split.examples for split in one.domains["markets"].splits.values()) for one in (whole, some)]
    assert counts[1] == -(-counts[0] // 4)
