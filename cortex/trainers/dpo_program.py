"""The DPO trainer as a program: `python -m cortex.trainers.dpo_program TASK.json`, which the dpo stage writes."""

import sys
from pathlib import Path

from trl import DPOConfig, DPOTrainer

from cortex.trainers.adapter_saves import AdapterSaves
from cortex.trainers.ranks import leave
from cortex.trainers.trl_task import TrlTask, train, trainer_inputs


class KitDPOTrainer(AdapterSaves, DPOTrainer):
    """TRL's trainer, with the kit's saves."""


def main() -> None:
    task = TrlTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    train(KitDPOTrainer(args=DPOConfig(**task.arguments), **trainer_inputs(task)), task)


if __name__ == "__main__":
    main()
    leave()
