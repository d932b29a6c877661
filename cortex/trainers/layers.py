"""The layers that FSDP gathers one by one, read from the model."""

from typing import Any

from cortex.errors import ConfigError


def name_layers_to_shard(model: Any) -> list[str]:
    """Leave in the model's `_no_split_modules` only classes that it has, and return them.

    Accelerate shards each module of these classes by itself where a configuration names none, and refuses a class that
    is not there. Transformers names all classes of a family: those of a vision tower, too, in a model for text alone.

    Raises:
        ConfigError: no class is left, so that the whole model would be gathered at once.
    """
    present = {type(module).__name__ for module in model.modules()}
    named = sorted(present & set(model._no_split_modules or ()))
    if not named:
        raise ConfigError(
            f"{type(model).__name__} does not say which layers can be sharded (_no_split_modules): train it on one GPU"
        )
    model._no_split_modules = set(named)
    return named
