"""Pairs of labels, as TRL's own trainer collates them: what it learns to prefer is the better reply, whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.profiles.profile_file import load_profile
from cortex.stages.label_pairs import sample_pairs, spoiled_pairs
from cortex.stages.preference_pairs import pair_row
from cortex.trainers.trl_config import dpo_arguments
from tests.programs import in_image
from tests.stages.test_label_pairs import EXAMPLES, MARKETS, forecast, labelled, write_samples

HERE = Path(__file__).parent

DPO = {"learning_rate": 1e-4, "micro_batch_size": 4, "max_steps": 8, "save_steps": 4}


@pytest.mark.rehearsal
def test_pairs_of_labels_pass_trls_arguments_and_collation(tmp_path: Path) -> None:
    samples = {f"e{number}": [(0.6 + number / 100, "accepted"), (0.4, "accepted")] for number in range(6)}
    given = [
        *sample_pairs(MARKETS, EXAMPLES, write_samples(tmp_path, **samples)),
        *spoiled_pairs(MARKETS, EXAMPLES, labelled(forecast(0.8)), seed=1),
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair_row(*each)) + "\n" for each in given), encoding="utf-8")
    profile = load_profile("rehearsal", {"dpo": {**DPO, "pairs": "spoiled"}, "sft.sequence_length": 512})
    task = {"model": str(tmp_path / "base"), "base": None, "attention": profile.model.attention, "device": "cpu"}
    task |= {"adapter": None, "dataset": str(file), "resume": None, "output": str(tmp_path / "out")}
    task["arguments"] = dpo_arguments(profile, tmp_path / "saving")
    (tmp_path / "task.json").write_text(json.dumps(task), encoding="utf-8")
    done = in_image("grpo", [str(HERE / "collate_pairs.py"), str(tmp_path / "task.json")])
    assert done.returncode == 0, done.stderr[-3000:]
    batches: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    learned = [pair for batch in batches for pair in zip(batch["better"], batch["worse"], strict=True)]
    ended = "<|im_end|>\n"
    assert sorted(learned) == sorted((f"{better}{ended}", f"{worse}{ended}") for _, better, worse in given)
    assert len(learned) == 6 + 30
