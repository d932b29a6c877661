"""Parameters of models as transformers builds them, without data, as a program: configurations in, one count a line."""

import json
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def main() -> None:
    for given in json.load(sys.stdin):
        settings = dict(given)
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        count = sum(parameter.numel() for parameter in model.parameters())
        print(json.dumps({"parameters": count, "tied": bool(config.tie_word_embeddings)}), flush=True)


if __name__ == "__main__":
    main()
