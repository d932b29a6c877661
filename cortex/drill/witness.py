"""Callback added to a bare trainer to observe it: it reports steps as the kit's callback would."""

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cortex.drill.spoken import say

_SEEN = ("loss", "reward", "grad_norm")


class Witness(TrainerCallback):
    """Changes nothing."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        say("started", step=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        say("step", step=state.global_step, at=time.time())

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        values = {name: float(logs[name]) for name in _SEEN if name in logs} if logs else {}
        if values:
            say("progress", step=state.global_step, **values)
