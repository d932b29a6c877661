"""A program of the grpo image: what does PyTorch's allocator really give out in a step that is traced?

Reads a JSON list of step requests from standard input; prints for each a line of JSON: the peak of the trace, and the
peak that PyTorch's profiler saw of the same step on real tensors, of which every allocation and every release counts.
With two ranks the step runs in two processes joined by gloo, of which the first is measured.
"""

import json
import multiprocessing
import os
import socket
import sys
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.profiler import ProfilerActivity, profile

from cortex.tracing import step_trace
from cortex.tracing.step_request import StepRequest
from cortex.tracing.step_trace import trace


def real_peak(request: StepRequest) -> int:
    """Most bytes alive in the second step of the request's model, its weights included."""
    model: Any = step_trace._model(request)
    if request.ranks > 1:
        model = step_trace._sharded(model, request, init_device_mesh("cpu", (request.ranks,)))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False)
    ids = torch.zeros((request.rows, request.tokens), dtype=torch.long)
    _step(model, optimizer, request, ids)
    before = _alive(model, optimizer)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        _step(model, optimizer, request, ids)
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    alive = peak = before
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


def _step(model: Any, optimizer: torch.optim.Optimizer, request: StepRequest, ids: torch.Tensor) -> None:
    step_trace._step(model, optimizer, request, ids, on_mark=lambda _segment: None)
    optimizer.zero_grad(set_to_none=True)


def _alive(model: Any, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of weights, buffers and moments on this rank."""
    tensors = [*model.parameters(), *model.buffers()]
    tensors += [value for state in optimizer.state.values() for value in state.values()]
    local = [getattr(tensor, "_local_tensor", tensor) for tensor in tensors]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in local}
    return sum(storages.values())


def _rank(rank: int, request: StepRequest, port: int, answers: Any) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=request.ranks)
    peak = real_peak(request)
    if rank == 0:
        answers.put(peak)
    dist.barrier()
    dist.destroy_process_group()


def _in_ranks(request: StepRequest) -> int:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [context.Process(target=_rank, args=(rank, request, port, answers)) for rank in range(request.ranks)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if any(rank.exitcode for rank in ranks):
        sys.exit(f"exit codes of the ranks: {[rank.exitcode for rank in ranks]}")
    return answers.get()


def main() -> None:
    torch.set_num_threads(1)
    for entry in json.load(sys.stdin):
        request = StepRequest.model_validate(entry)
        real = _in_ranks(request) if request.ranks > 1 else real_peak(request)
        traced = trace(request)
        peak = max(segment.peak for segment in traced.segments.values())
        print(json.dumps({"traced": peak, "real": real, "static": traced.static}), flush=True)


if __name__ == "__main__":
    main()
