"""TRL's GRPO as most scripts run it: `python -m cortex.drill.bare_grpo TASK.json`.

It resumes from the checkpoint with the highest number, if there is one, and knows nothing of the kit.
"""

import sys
from pathlib import Path

from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig, GRPOTrainer

from cortex.drill.witness import Witness
from cortex.trainers.grpo_program import GrpoTask, reward_function
from cortex.trainers.trl_task import trainer_inputs


def main() -> None:
    task = GrpoTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    inputs = trainer_inputs(task) | {"callbacks": [Witness()]}
    arguments = GRPOConfig(**task.arguments)
    trainer = GRPOTrainer(reward_funcs=[reward_function(task.judge())], args=arguments, **inputs)
    saved = Path(arguments.output_dir or ".")
    trainer.train(resume_from_checkpoint=saved.is_dir() and get_last_checkpoint(str(saved)) is not None)
    trainer.save_model(task.output)


if __name__ == "__main__":
    main()
