"""One training step on fake tensors, as a program: `python -m cortex.tracing.step_trace < REQUESTS > RESULTS`.

Nothing is computed and no weights are read: PyTorch makes tensors without data, on a process group of N ranks of which
only this one exists, while the trainers' own libraries do their usual work: PEFT adds the adapter, Accelerate wraps the
layers for FSDP2, TRL scores the answers. `torch.distributed._tools` (`MemTracker`, `FSDPMemTracker`) counts the live
bytes, and a roofline model the time. So a laptop can trace a 70B model over eight GPUs.

Memory and time of each segment of a step are linear in the number of layers, so two shallow models determine the deep
one (`cortex.fleet.capacity.traced`).
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
import transformers
from peft import LoraConfig, get_peft_model
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from cortex.errors import ConfigError
from cortex.tracing.step_recorder import Recorder
from cortex.tracing.step_request import StepRequest, StepTrace
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.precision import train_in_float32

LEAST_LAYERS = 5
"""Layers of the smallest model to trace. The first two and the last two are segments of their own, since FSDP gathers a
layer ahead of its use: the ends differ from the middle, which needs one layer at least."""


def trace(request: StepRequest) -> StepTrace:
    """Build the model of a request, and trace one optimizer step of one forward pass on it."""
    assert request.layers >= LEAST_LAYERS, f"{request.layers} layers are fewer than the {LEAST_LAYERS} segments' ends"
    with torch.device("meta"):
        model = _model(request)
    with _ranks(request.ranks) as mesh, FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        model = _sharded(model, request, mesh) if mesh else model
        # One tensor at a time: transformers' default of several at once has no fake kernel for sharded tensors.
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False)
        for parameter in model.parameters():  # moments exist from the second step on, which is the step to trace
            parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ids = torch.zeros((request.rows, request.tokens), dtype=torch.long)
        recorder = Recorder(model, optimizer, request, ids)
        with recorder:
            _step(model, optimizer, request, ids, recorder.mark)
    return StepTrace(layers=request.layers, static=recorder.static, trained=trained, segments=recorder.segments)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    request: StepRequest,
    ids: torch.Tensor,
    on_mark: Callable[[str], None],
) -> None:
    """One optimizer step; `on_mark` is called at the end of each of its parts."""
    half = torch.autocast("cpu", torch.bfloat16) if request.half else nullcontext()
    loss = _loss(model, request, ids, half)
    on_mark("forward")
    loss.backward()
    on_mark("first")
    nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0, foreach=False)
    optimizer.step()
    on_mark("optimizer")


def _loss(model: nn.Module, request: StepRequest, ids: torch.Tensor, half: AbstractContextManager[Any]) -> torch.Tensor:
    labels = ids.clone()
    labels[:, : request.tokens - request.scored] = -100
    if request.kind != "sft":
        with half:
            return model(input_ids=ids, labels=labels, fused_lm_head=True).loss
    with half:
        output = model(input_ids=ids, labels=labels)
    # Accelerate converts all outputs of a model to float32, the logits included.
    wide = output.logits.float()
    del wide
    return output.loss


def _model(request: StepRequest) -> nn.Module:
    settings = {**request.config, "num_hidden_layers": request.layers, "use_cache": False}
    settings.pop("layer_types", None)  # one entry a layer; the class makes its own
    config = _config(settings.pop("model_type"), settings)
    dtype = torch.bfloat16 if request.half else torch.float32
    model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=request.attention)
    if request.kind != "sft":
        _score_in_tiles(model)
    if request.packed:
        from cortex.tracing.packed_linear import pack_linears

        pack_linears(model)
    if request.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if request.adapter:
        model = get_peft_model(model, LoraConfig(**request.adapter))
        if request.checkpointing:
            model.enable_input_require_grads()
    train_in_float32(model)
    return model.train()


def _config(family: str, settings: dict[str, Any]) -> PreTrainedConfig:
    """A configuration as its family's class reads it.

    Raises:
        ConfigError: transformers has no such family, or no causal language model of it.
    """
    library = f"transformers {transformers.__version__}, by which the trainers load it,"
    if family not in CONFIG_MAPPING_NAMES:
        raise ConfigError(f"{library} knows no model_type {family!r} (config.json)")
    if family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ConfigError(f"{library} has no causal language model of model_type {family!r} (config.json)")
    return AutoConfig.for_model(family, **settings)


def _score_in_tiles(model: Any) -> None:
    """Give the model TRL's fused head with its memory on a GPU, where its kernels work in place."""
    from trl.kernels import chunked_logprob
    from trl.trainer.utils import add_fused_lm_head

    def accumulate(sums: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
        sums += torch.mm(a, b)

    chunked_logprob._forward_tile = chunked_logprob._backward_tile = lambda *_arguments, **_options: None
    chunked_logprob._addmm_fp32 = accumulate
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))


def _sharded(model: nn.Module, request: StepRequest, mesh: DeviceMesh) -> nn.Module:
    """Wrap the model as Accelerate does when a trainer starts."""
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="TRANSFORMER_BASED_WRAP",
        transformer_cls_names_to_wrap=name_layers_to_shard(model),
        reshard_after_forward=request.reshard_after_forward,
        # Loading is planned apart from the step, and here are no weights to load.
        cpu_ram_efficient_loading=False,
        mixed_precision_policy="bf16" if request.half else "fp32",
    )
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh={("ranks",): mesh},
        parallelism_config=SimpleNamespace(fsdp_dim_names=("ranks",)),
        mixed_precision="bf16" if request.half else "no",
        is_main_process=False,
        device=torch.device("cpu"),
    )
    return fsdp2_prepare_model(accelerator, model)


@contextmanager
def _ranks(count: int) -> Iterator[DeviceMesh | None]:
    """The mesh of a process group of which the first rank alone exists, and whose collectives do nothing."""
    if count == 1:
        yield None
        return
    dist.init_process_group("fake", rank=0, world_size=count, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (count,))
    finally:
        dist.destroy_process_group()


def main() -> None:
    torch.set_num_threads(1)
    try:
        for entry in json.load(sys.stdin):
            print(trace(StepRequest.model_validate(entry)).model_dump_json(), flush=True)
    except ConfigError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
