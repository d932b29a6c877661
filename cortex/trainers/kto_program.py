"""The KTO trainer as a program: `python -m cortex.trainers.kto_program TASK.json`, which the dpo stage writes.

It learns from answers that are each good or bad (Ethayarajh et al., "KTO: Model Alignment as Prospect Theoretic
Optimization", 2024). The dataset has `prompt`, `completion` and `label`, true for a good answer.
"""

import sys
from pathlib import Path
from typing import Any

from trl import KTOConfig, KTOTrainer

from cortex.trainers.adapter_saves import AdapterSaves
from cortex.trainers.balance import balancing_weights
from cortex.trainers.ranks import leave
from cortex.trainers.trl_task import TrlTask, train, trainer_inputs


class KitKTOTrainer(AdapterSaves, KTOTrainer):
    """TRL's trainer, with the kit's saves."""


def main() -> None:
    task = TrlTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    inputs = trainer_inputs(task)
    config = KTOConfig(**balancing_weights(inputs["train_dataset"]["label"], task.arguments) | task.arguments)
    train(KitKTOTrainer(args=config, **inputs | shuffled(inputs, config.seed)), task)


def shuffled(inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """The datasets in random order.

    TRL reads them in the order that they have, and estimates a divergence from each question with the answer before:
    in the order of the file that would often be an answer to the same question.
    """
    names = [name for name in ("train_dataset", "eval_dataset") if inputs[name] is not None]
    return {name: inputs[name].shuffle(seed=seed) for name in names}


if __name__ == "__main__":
    main()
    leave()
