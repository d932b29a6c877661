"""DeepSpeed's ZeRO-3 in place of FSDP2: `hardware.sharding: zero3`."""

from typing import Any


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
