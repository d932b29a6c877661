"""The tiny model, built in a trainer's image: `python -m cortex.drill.build_stand_in SPEC.json`."""

import json
import sys
from pathlib import Path
from typing import Any

from cortex.drill.stand_in import SHAPE
from cortex.models.scratch import build


def main() -> None:
    """The spec holds `corpus` (texts), `seed`, `base` (a folder to make); for GRPO `model` (another), `adapter`."""
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    base = Path(spec["base"])
    build(SHAPE, spec["corpus"], spec["seed"], base)
    if "model" not in spec:
        return
    from cortex.models.loading import load_model, load_tokenizer

    model: Any = load_model(base)
    if spec["adapter"]:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(**spec["adapter"]))
    model.save_pretrained(spec["model"])
    load_tokenizer(base).save_pretrained(spec["model"])


if __name__ == "__main__":
    main()
