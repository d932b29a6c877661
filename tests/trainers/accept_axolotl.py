"""A program of the sft image: which configurations do Axolotl's own schemas accept?

Reads a JSON list of {name, config, gpus} from standard input; its last line maps each name to null, or to the refusal.
"""

import json
import sys
from typing import Any

from axolotl.utils.config import prepare_plugins, validate_config
from axolotl.utils.dict import DictDefault


def refusal(config: dict[str, Any], gpus: int) -> str | None:
    """The reason why `axolotl train` would not start with this configuration on a machine with so many H100s."""
    gpu = gpus > 0
    machine = {"bf16": gpu, "fp8": gpu, "tf32": gpu, "n_gpu": gpus, "n_node": 1}
    if gpu:
        machine["compute_capability"] = "sm_90"
    settings = DictDefault(config)
    try:
        prepare_plugins(settings)
        validate_config(settings, capabilities=machine, env_capabilities={"torch_version": "2.13.0"})
    except (ValueError, ImportError) as error:  # pydantic's ValidationError is a ValueError
        return str(error)
    return None


if __name__ == "__main__":
    print(json.dumps({case["name"]: refusal(case["config"], case["gpus"]) for case in json.load(sys.stdin)}))
