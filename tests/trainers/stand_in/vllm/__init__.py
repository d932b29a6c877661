"""A stand-in for vLLM's engine in TRL's colocated mode: it keeps what it is sent, and samples from that.

TRL's own `VLLMGeneration` talks to it. As vLLM 0.31 does, it seeds the process's random generators at its start, and
draws each request's seed from NumPy's (`vllm/v1/worker/gpu/sample/states.py`).
"""

import random
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.distributed as dist
from transformers import AutoConfig, AutoModelForCausalLM

__version__ = "0.31.0"

RequestOutput = SimpleNamespace

_IMPORTED_BY_TRL = {
    "vllm.sampling_params": ["StructuredOutputsParams"],
    "vllm.utils.network_utils": ["get_ip"],
    "vllm.distributed.weight_transfer.nccl_common": ["trainer_init"],
    "vllm.distributed.weight_transfer.packed_tensor": ["packed_nccl_broadcast_producer"],
    "vllm.distributed.weight_transfer.nccl_engine": ["NCCLTrainerSendWeightsArgs", "NCCLWeightTransferEngine"],
}
"""Classes for its server mode, which nothing here uses."""

for _name, _attributes in _IMPORTED_BY_TRL.items():
    _parts = _name.split(".")
    for _length in range(2, len(_parts) + 1):
        _module = ".".join(_parts[:_length])
        sys.modules.setdefault(_module, ModuleType(_module))
    for _attribute in _attributes:
        setattr(sys.modules[_name], _attribute, None)


class SamplingParams(SimpleNamespace):
    """The few parameters that TRL sets and this engine reads: `max_tokens`, `temperature`."""


class LLM:
    """One engine a process: `made[0]`."""

    made: ClassVar["list[LLM]"] = []

    def __init__(self, model: str, **options: Any) -> None:
        self.options = options
        self.weights: dict[str, torch.Tensor] = {}
        self.asleep = False
        self._base = model
        random.seed(options["seed"])
        np.random.seed(options["seed"])
        torch.manual_seed(options["seed"])
        runner = SimpleNamespace(model=SimpleNamespace(load_weights=self._load))
        worker = SimpleNamespace(model_runner=runner)
        self.llm_engine = SimpleNamespace(
            model_executor=SimpleNamespace(driver_worker=worker),
            model_config=SimpleNamespace(max_model_len=options["max_model_len"]),
        )
        LLM.made.append(self)

    def sleep(self, level: int) -> None:
        assert level == 2
        self.weights = {}  # discarded, as the real one's are
        self.asleep = True

    def wake_up(self, tags: list[str]) -> None:
        self.asleep = self.asleep and "weights" not in tags

    def reset_prefix_cache(self) -> None:
        pass

    def generate(self, prompts: list[dict[str, Any]], sampling_params: Any, use_tqdm: bool) -> list[Any]:
        assert not self.asleep
        seeds = [int(np.random.randint(2**31)) for _ in prompts]
        self._require_the_same_everywhere(seeds)
        with torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(self._base)).eval()
            model.load_state_dict({name: weight.float() for name, weight in self.weights.items()}, strict=True)
            return [
                self._answer(model, prompt["prompt_token_ids"], sampling_params, seed)
                for prompt, seed in zip(prompts, seeds, strict=True)
            ]

    def _require_the_same_everywhere(self, seeds: list[int]) -> None:
        """Each rank of a tensor-parallel engine samples by itself: if their seeds differ, the real ones hang."""
        if self.options["tensor_parallel_size"] > 1:
            drawn: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(drawn, seeds)
            assert all(other == seeds for other in drawn), "ranks of one engine draw other answers"

    def _load(self, weights: list[tuple[str, torch.Tensor]]) -> None:
        assert not self.asleep
        for name, weight in weights:
            assert name not in self.weights, f"{name} came twice"
            self.weights[name] = weight.clone()

    @staticmethod
    @torch.no_grad()
    def _answer(model: Any, prompt: list[int], params: Any, seed: int) -> Any:
        drawn = torch.Generator().manual_seed(seed)
        ids, chosen = list(prompt), []
        for _ in range(params.max_tokens):
            scores = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1] / params.temperature, -1)
            token = int(torch.multinomial(scores.exp(), 1, generator=drawn))
            ids.append(token)
            chosen.append({token: SimpleNamespace(rank=1, logprob=float(scores[token]))})
        answer = SimpleNamespace(token_ids=ids[len(prompt) :], logprobs=chosen)
        return SimpleNamespace(prompt_token_ids=prompt, outputs=[answer])
