"""One training step on fake tensors, as a program: `python -m cortex.tracing.step_trace < REQUESTS > RESULTS`.

Nothing is computed and no weights are read: PyTorch makes tensors without data, on a process group of N ranks of which
only this one exists, while the trainers' own libraries do their usual work: PEFT adds the adapter, Accelerate wraps the
layers for FSDP2, TRL scores the answers. `torch.distributed._tools` (`MemTracker`, `FSDPMemTracker`) counts the live
bytes, and a roofline model the time. So a laptop can trace a 70B model over eight GPUs.

Memory and time of each segment of a step are linear in the number of layers, so two shallow models determine the deep
one (`cortex.fleet.capacity.traced`).
"""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, Literal

import torch
import torch.distributed as dist
import transformers
from peft import LoraConfig, get_peft_model
from pydantic import BaseModel, ConfigDict
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed._tools.mem_tracker import MemTracker
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from cortex.errors import ConfigError
from cortex.tracing.roofline import Roofline
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.precision import train_in_float32

LEAST_LAYERS = 5
"""Layers of the smallest model to trace. The first two and the last two are segments of their own, since FSDP gathers a
layer ahead of its use: the ends differ from the middle, which needs one layer at least."""


class StepRequest(BaseModel):
    """One step to trace, in the terms of the trainers' arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any]
    """The base's `config.json`."""
    kind: Literal["sft", "dpo", "grpo"]
    """Source of the loss: transformers' own, or TRL's fused head."""
    layers: int
    """In place of the configuration's."""
    rows: int
    """Sequences of one forward pass of one GPU."""
    tokens: int
    """Tokens of each sequence."""
    scored: int
    """Tokens at the end of each sequence over which the loss is taken."""
    ranks: int = 1
    """GPUs that share the model."""
    adapter: dict[str, Any] | None = None
    """Arguments of `peft.LoraConfig`; None trains all weights."""
    packed: bool = False
    """True where the layers' weights are held in 4 bits."""
    checkpointing: bool = True
    """True where layers keep only their input, and are recomputed in the backward pass."""
    half: bool = True
    """bf16 under autocast; else float32."""
    attention: str = "sdpa"
    reshard_after_forward: bool = True
    """True where FSDP frees a layer between its passes."""
    flops: float = 1e15
    """Matrix operations a second that the GPU reaches in practice, in the step's precision."""
    bandwidth: float = 1e12
    """Memory bytes a second that the GPU reaches in practice."""


class Segment(BaseModel):
    """A part of a step."""

    peak: int
    """Peak of the live bytes."""
    seconds: float
    """Seconds of computing, by the roofline model."""
    operations: float
    """Floating-point operations on matrices."""
    gathered: int
    """Bytes that gathers fill, this rank's own share included."""
    scattered: int
    """Bytes that are summed over the ranks."""


class StepTrace(BaseModel):
    """The memory and time of one step of a model with so many layers."""

    layers: int
    static: int
    """Bytes that stay alive between steps: weights, the adapter, the optimizer's moments."""
    trained: int
    """Trainable parameters of all ranks together."""
    segments: dict[str, Segment]


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


class _Peak:
    """Reduces a memory tracker to one number: the peak of the live bytes since the last `begin`."""

    _peak_mem: dict[torch.device, int]
    _curr_mem_snap: dict[torch.device, dict[str, int]]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)

    def _update_peak_stats(self, peak_state: Any) -> None:  # the original visits all modules for each tensor
        for device, snapshot in self._curr_mem_snap.items():
            if self._peak_mem.get(device, 0) < snapshot["Total"]:
                self._peak_mem[device] = snapshot["Total"]

    def begin(self) -> int:
        """Begin a new peak at the bytes alive now; returns the old peak."""
        peak = sum(self._peak_mem.values())
        self._peak_mem = {device: snapshot["Total"] for device, snapshot in self._curr_mem_snap.items()}
        return peak

    @property
    def alive(self) -> int:
        return sum(snapshot["Total"] for snapshot in self._curr_mem_snap.values())


class _Memory(_Peak, MemTracker):
    """Counts bytes of a model that one GPU holds."""

    def _track_module_params_and_buffers(self, module: nn.Module, install_grad_hooks: bool = True) -> tuple[int, int]:
        # With hooks it would classify gradients, and fail on a frozen parameter, which has none.
        return super()._track_module_params_and_buffers(module, install_grad_hooks=False)


class _ShardedMemory(_Peak, FSDPMemTracker):
    """Counts bytes of a sharded model of which some modules are never called: TRL's head reads its weight directly."""

    def _fsdp_param_group_pre_backward(self, fsdp_mod: Any, orig_fsdp_param_group_pre_backward: Any) -> Any:
        original = orig_fsdp_param_group_pre_backward
        return self._where_called(fsdp_mod, super()._fsdp_param_group_pre_backward(fsdp_mod, original), original)

    def _fsdp_param_group_post_backward(self, fsdp_mod: Any, orig_fsdp_param_group_post_backward: Any) -> Any:
        original = orig_fsdp_param_group_post_backward
        return self._where_called(fsdp_mod, super()._fsdp_param_group_post_backward(fsdp_mod, original), original)

    def _where_called(self, fsdp_mod: Any, tracked: Callable[..., None], original: Callable[..., None]) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            (tracked if fsdp_mod in self.memory_tracking else original)(*args, **kwargs)

        return call


class Recorder:
    """Peaks, seconds and gathered bytes of the segments of a step, as `mark` closes them."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, request: StepRequest, ids: Any) -> None:
        self.segments: dict[str, Segment] = {}
        self._roofline = Roofline(request.flops, request.bandwidth)
        if request.ranks > 1:
            self._memory: _Memory | _ShardedMemory = _ShardedMemory(model, optimizer)
            self._memory.track_inputs((ids,))
        else:
            self._memory = _Memory()
            self._memory.track_external(model, optimizer, ids)
        layers = _layers(model)
        for index, segment in ((len(layers) - 1, "head"), (len(layers) - 3, "last"), (1, "middle")):
            layers[index].register_forward_hook(self._at_gradient_of(segment))

    def __enter__(self) -> None:
        self._memory.__enter__()
        self._roofline.__enter__()
        gc.collect()  # otherwise garbage would count, or not, by chance
        gc.freeze()
        self.static = self._memory.alive

    def __exit__(self, *raised: Any) -> None:
        self._roofline.__exit__(*raised)
        self._memory.__exit__(*raised)
        gc.unfreeze()

    def mark(self, name: str) -> None:
        """Close the segment that began with the last mark."""
        peak, spent = self._memory.begin(), self._roofline.take()
        self.segments[name] = Segment(
            peak=peak,
            seconds=spent.seconds,
            operations=spent.operations,
            gathered=spent.gathered,
            scattered=spent.scattered,
        )
        gc.collect()

    def _at_gradient_of(self, name: str) -> Any:
        """A hook that closes a segment when the backward pass reaches a layer's output."""

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if tensor.requires_grad and name not in self.segments:
                tensor.register_hook(lambda _gradient: self.mark(name))

        return hook


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


def _layers(model: nn.Module) -> nn.ModuleList:
    """The decoder's layers: the longest list of modules."""
    return max((module for module in model.modules() if isinstance(module, nn.ModuleList)), key=len)


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
