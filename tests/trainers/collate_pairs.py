"""A program of the grpo image: the batches that TRL's DPO trainer makes of a file of pairs, before any step.

Builds a tiny base where the task, in the form that the dpo stage writes, names one. The last line has the texts of the
tokens that the loss counts.
"""

import json
import sys
from pathlib import Path
from typing import Any

from trl import DPOConfig

from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel
from cortex.trainers.dpo_program import KitDPOTrainer
from cortex.trainers.trl_task import TrlTask, trainer_inputs


def main() -> None:
    task = TrlTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    shape = ScratchModel(vocabulary=320, hidden_size=32, intermediate_size=64, layers=1, heads=2, context=512)
    build(shape, Path(task.dataset).read_text(encoding="utf-8").splitlines(), 0, Path(task.model))
    inputs = trainer_inputs(task)
    trainer: Any = KitDPOTrainer(args=DPOConfig(**task.arguments), **inputs)
    batches: list[dict[str, list[str]]] = []
    for batch in trainer.get_train_dataloader():
        counted = batch["completion_mask"].bool()
        texts = [
            inputs["processing_class"].decode(ids[mask]) for ids, mask in zip(batch["input_ids"], counted, strict=True)
        ]
        half = len(texts) // 2  # the better replies of all pairs, then the worse ones
        batches.append({"better": texts[:half], "worse": texts[half:]})
    print(json.dumps(batches))


if __name__ == "__main__":
    main()
