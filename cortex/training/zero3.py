"""DeepSpeed's ZeRO-3 in place of FSDP2: `hardware.sharding: zero3`."""

import importlib.util
from typing import Any

from cortex.errors import ConfigError


def zero3_config() -> dict[str, Any]:
    """DeepSpeed's configuration, for Axolotl's and for TRL's `deepspeed` key alike.

    `auto` takes the trainer's own arguments. The optimizer is the trainer's own, PyTorch's: DeepSpeed's would need a
    compiler at its first use, which the images lack, and differs from the optimizer of FSDP2's runs.
    """
    return {
        "zero_optimization": {
            "stage": 3,
            "overlap_comm": True,
            "contiguous_gradients": True,
            # without this a save holds no weights, or no adapter
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": "auto"},
        "gradient_clipping": "auto",
        "gradient_accumulation_steps": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
    }


def require_deepspeed() -> None:
    """Check that DeepSpeed is installed.

    Raises:
        ConfigError: it is not; none of the kit's images has it.
    """
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError(
            "hardware.sharding is zero3, and DeepSpeed is not in this image: add `deepspeed<0.19` to "
            "images/sft/requirements.cuda.in and images/grpo/requirements.cuda.in, then `make locks`, `make images` "
            "and `make push`; or use fsdp2"
        )
