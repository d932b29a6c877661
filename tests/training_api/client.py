"""A program of the image `tinker`, with Tinker's own client alone: trains sums, saves, and prints what came of it.

`python -m tests.training_api.client URL BASE STEPS [PATH]`; with PATH, it goes on from that saved state.
"""

import json
import sys

import tinker
from tinker import types
from transformers import AutoTokenizer

RATE = 5e-3


def main() -> None:
    url, base, steps, *paths = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(base)
    service = tinker.ServiceClient(base_url=url, api_key="tml-nobody-asks")
    training = (
        service.create_training_client_from_state_with_optimizer(paths[0])
        if paths
        else service.create_lora_training_client(base_model=base, rank=8)
    )
    batch = [_example(tokenizer, one, other) for one in range(4) for other in range(4)]
    losses: list[float] = []
    for _ in range(int(steps)):
        made = training.forward_backward(batch, "cross_entropy")
        training.optim_step(types.AdamParams(learning_rate=RATE)).result()
        losses.append(_loss(made.result(), batch))
    saved = training.save_state(name=f"after-{len(paths)}").result()
    print(json.dumps({"losses": losses, "path": saved.path, "capable": _capabilities(service)}))


def _example(tokenizer: AutoTokenizer, one: int, other: int) -> types.Datum:
    prompt = tokenizer(f"{one}+{other}=", add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    answer = tokenizer(str(one + other), add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    whole = [*prompt, *answer]
    weights = [0.0] * (len(prompt) - 1) + [1.0] * len(answer)
    return types.Datum(
        model_input=types.ModelInput.from_ints(whole[:-1]),
        loss_fn_inputs={"target_tokens": whole[1:], "weights": weights},  # type: ignore[arg-type]
    )


def _loss(output: types.ForwardBackwardOutput, batch: list[types.Datum]) -> float:
    """Mean negative log-likelihood of the answers' tokens, in nats."""
    pairs = [
        (weight, logprob)
        for datum, given in zip(batch, output.loss_fn_outputs, strict=True)
        for weight, logprob in zip(datum.loss_fn_inputs["weights"].data, given["logprobs"].data, strict=True)
    ]
    return -sum(weight * logprob for weight, logprob in pairs) / sum(weight for weight, _ in pairs)


def _capabilities(service: tinker.ServiceClient) -> list[str | None]:
    return [model.model_name for model in service.get_server_capabilities().supported_models]


if __name__ == "__main__":
    main()
