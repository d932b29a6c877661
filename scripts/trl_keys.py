"""Keys of TRL's configuration classes, for `cortex/profiles/trl_keys.json`, by which profiles are checked without TRL.

Run it in the grpo image's environment after locking another TRL:
`PYTHONPATH=. .cortex/environments/grpo-<hash>/bin/python scripts/trl_keys.py > cortex/profiles/trl_keys.json`
"""

import dataclasses
import enum
import json
import types
import typing
from typing import Any

from trl import DistillationConfig, DPOConfig, GRPOConfig, KTOConfig, RewardConfig

_NAMES: dict[Any, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    dict: "dict",
    type(None): "null",
}


def kinds(annotation: Any) -> list[str]:
    """The JSON types of values that a field accepts; for an enumeration its values, each after an equals sign."""
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        inner = [kind for part in typing.get_args(annotation) for kind in kinds(part)]
        # An enumeration accepts only its values: any other text would fail when the trainer starts.
        return sorted(set(inner) - ({"str"} if any(kind.startswith("=") for kind in inner) else set()))
    if origin is typing.Literal:
        return ["bool" if isinstance(value, bool) else f"={value}" for value in typing.get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [f"={member.value}" for member in annotation]
    return [_NAMES[origin or annotation]] if (origin or annotation) in _NAMES else []


def main() -> None:
    classes = {
        "dpo": DPOConfig,
        "kto": KTOConfig,
        "reward_model": RewardConfig,
        "distill": DistillationConfig,
        "grpo": GRPOConfig,
    }
    keys = {
        stage: {
            field.name: kinds(typing.get_type_hints(made)[field.name])
            for field in sorted(dataclasses.fields(made), key=lambda field: field.name)
            if field.init
        }
        for stage, made in classes.items()
    }
    stages = [
        f'"{stage}": {{\n' + ",\n".join(f'  "{key}": {json.dumps(known[key])}' for key in known) + "\n}"
        for stage, known in keys.items()
    ]
    print("{\n" + ",\n".join(stages) + "\n}")


if __name__ == "__main__":
    main()
