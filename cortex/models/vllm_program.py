"""vLLM as a program: `python -m cortex.models.vllm_program TASK.json`, which `sample_vllm` writes.

Answers go to its standard output, one line of JSON for each batch; all that libraries print goes to its standard error.
"""

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, get_args

from cortex.models.bad_words import spellings
from cortex.models.model_files import ADAPTER_FILE
from cortex.models.sample_vllm import VllmBatch, VllmTask


def main() -> None:
    task = VllmTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)
        answer(task, replies)


def answer(task: VllmTask, replies: Any) -> None:
    """Load the model, and answer every batch in order."""
    from transformers import AutoConfig
    from vllm import LLM
    from vllm.config.lora import MaxLoRARanks

    encoded = [_encode(batch) for batch in task.batches]
    longest = max(
        len(ids) + batch.max_tokens for batch, rows in zip(task.batches, encoded, strict=True) for ids in rows
    )
    limit = getattr(AutoConfig.from_pretrained(task.model), "max_position_embeddings", longest)
    ranks = [_rank(batch.folder) for batch in task.batches if batch.adapter]
    adapters: dict[str, Any] = {}
    if ranks:
        # vLLM's kernels come in these sizes. Batches run one after the other, so one adapter is in use at a time.
        adapters = {"enable_lora": True, "max_loras": 1}
        adapters["max_lora_rank"] = min(size for size in get_args(MaxLoRARanks) if size >= max(ranks))
    model = LLM(
        model=task.model,
        dtype="float32" if task.device == "cpu" else "bfloat16",
        tensor_parallel_size=task.tensor_parallel_size,
        gpu_memory_utilization=task.gpu_memory_utilization,
        # By default vLLM would reserve memory for the longest sequence that the model can take.
        max_model_len=min(longest, limit),
        # A cached prefix was computed in another batch than its prompt: sums would depend on earlier requests.
        enable_prefix_caching=False,
        # Compiling takes a CPU longer than a test's few answers.
        enforce_eager=task.device == "cpu",
        **adapters,
    )
    stops = _end_tokens(task.model)
    for batch, rows in zip(task.batches, encoded, strict=True):
        replies.write(json.dumps(_answer_batch(model, batch, rows, stops)) + "\n")
        replies.flush()


def _answer_batch(model: Any, batch: VllmBatch, rows: list[list[int]], stops: list[int]) -> list[list[str]]:
    from vllm import SamplingParams
    from vllm.inputs import TokensPrompt
    from vllm.lora.request import LoRARequest

    sampling = [
        SamplingParams(
            n=batch.samples,
            temperature=batch.temperature,
            top_p=batch.top_p,
            seed=seed if batch.temperature else None,
            max_tokens=batch.max_tokens,
            bad_words=spellings(batch.bad_words) or None,
            # Answers end at the same tokens as with transformers: vLLM would add the tokenizer's own end token.
            ignore_eos=True,
            stop_token_ids=stops,
            detokenize=False,
        )
        for seed in batch.seeds
    ]
    adapter = LoRARequest(batch.name, _number(batch.folder), batch.folder) if batch.adapter else None
    prompts = [TokensPrompt(prompt_token_ids=ids) for ids in rows]
    done = model.generate(prompts, sampling, use_tqdm=False, lora_request=adapter)
    tokenizer = _tokenizer(batch.folder)
    return [
        [
            text.strip()
            for text in tokenizer.batch_decode(
                [list(answer.token_ids) for answer in output.outputs], skip_special_tokens=True
            )
        ]
        for output in done
    ]


def _encode(batch: VllmBatch) -> list[list[int]]:
    from cortex.models.conversation import chat

    tokenizer = _tokenizer(batch.folder)
    texts = [
        tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True)
        for prompt in batch.prompts
    ]
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


@cache
def _tokenizer(folder: str) -> Any:
    from cortex.models.loading import load_tokenizer

    return load_tokenizer(folder)


@cache
def _number(folder: str) -> int:
    """The number, from 1, by which vLLM identifies an adapter."""
    return _number.cache_info().misses


def _rank(folder: str) -> int:
    return int(json.loads((Path(folder) / ADAPTER_FILE).read_text(encoding="utf-8"))["r"])


def _end_tokens(model: str) -> list[int]:
    """The tokens that end an answer, read from a model as transformers does."""
    from transformers import AutoConfig, GenerationConfig

    try:
        config: Any = GenerationConfig.from_pretrained(model)
    except OSError:  # it has none: transformers makes one from the model's own configuration
        config = GenerationConfig.from_model_config(AutoConfig.from_pretrained(model))
    ends = config.eos_token_id
    return ends if isinstance(ends, list) else [] if ends is None else [ends]


if __name__ == "__main__":
    main()
