"""A capacity plan on the terminal, and for programs."""

from typing import Any

from rich.table import Table

from cortex.console import Console
from cortex.fleet.capacity.phase import TRACED, Phase
from cortex.fleet.capacity.plan import CapacityPlan
from cortex.fleet.capacity.sheets import GIB

UNRUN = (
    "no phase of it has been measured on a GPU yet; a finished run's own figures are better: `cortex forecast --like`"
)


def print_capacity(plan: CapacityPlan, console: Console) -> None:
    """One screen: a line a phase, what does not fit, and what was taken for given."""
    hardware, architecture = plan.profile.hardware, plan.architecture
    console.print(
        f"{plan.profile.name}: {architecture.parameters / 1e9:.1f}B parameters, {architecture.layers} layers, on "
        f"{hardware.processes} x {plan.sheet.name} ({plan.sheet.memory:.1f} GiB each)",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "phase"):
        table.add_column(heading, no_wrap=True)
    for heading in ("GPU GiB", "of", "GPUs", "host GiB", "disk GiB", "moved GB", "each", "in all", "$"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True)
    before = ""
    for phase in plan.phases:
        table.add_row(phase.stage if phase.stage != before else "", *_cells(plan, phase))
        before = phase.stage
    console.print(table)
    seconds = sum(phase.seconds for phase in plan.phases)
    dollars = [plan.dollars(phase) for phase in plan.phases]
    cost = (
        f", ${sum(known for known in dollars if known):,.0f}" if any(dollars) else ", dollars unknown: no prices here"
    )
    console.print(
        f"in all {seconds / 3600:.1f} h{cost}, without waiting, preemptions, labels and release; a start of the "
        f"training machine takes {plan.restart_seconds / 60:.0f} min",
        soft_wrap=True,
    )
    traced = "steps traced on fake tensors by PyTorch's simulators" if plan.basis == TRACED else (
        "steps by closed forms, within some 15%: `--trace` makes the environment to trace them in"
    )  # fmt: skip
    console.print(f"{traced}; the rest by closed forms; {UNRUN}", soft_wrap=True)
    for misfit in plan.misfits:
        console.print(f"DOES NOT FIT: {misfit}", soft_wrap=True, style="red")


def capacity_json(plan: CapacityPlan) -> dict[str, Any]:
    """Bytes, seconds and dollars."""
    return {
        "profile": plan.profile.name,
        "accelerator": plan.sheet.name,
        "gpu_bytes": plan.sheet.bytes,
        "parameters": plan.architecture.parameters,
        "basis": plan.basis,
        "step_seconds": dict(plan.step_seconds),
        "save_seconds": plan.save_seconds,
        "restart_seconds": plan.restart_seconds,
        "phases": [
            {
                "stage": phase.stage,
                "phase": phase.name,
                "basis": phase.basis,
                "gpus": phase.gpus,
                "gpu_bytes": phase.gpu,
                "fits": phase.over <= 0,
                "host_bytes": phase.host,
                "disk_bytes": phase.disk,
                "moved_bytes": phase.moved,
                "times": phase.times,
                "seconds": phase.seconds,
                "dollars": plan.dollars(phase),
            }
            for phase in plan.phases
        ],
        "misfits": [
            {"stage": misfit.phase.stage, "phase": misfit.phase.name, "over_bytes": misfit.phase.over,
             "changes": dict(misfit.changes)}
            for misfit in plan.misfits
        ],
    }  # fmt: skip


def _cells(plan: CapacityPlan, phase: Phase) -> list[str]:
    dollars = plan.dollars(phase)
    return [
        phase.name,
        f"{phase.gpu / GIB:.1f}" if phase.gpu else "",
        f"{phase.capacity / GIB:.1f}" if phase.capacity else "",
        str(phase.gpus),
        f"{phase.host / GIB:.0f}" if phase.host else "",
        f"{phase.disk / GIB:.1f}" if phase.disk else "",
        f"{phase.moved / 1e9:,.0f}" if phase.moved else "",
        f"{phase.times:,} x {_time(phase.each)}" if phase.times > 1 else "",
        _time(phase.seconds),
        "" if dollars is None else f"{dollars:,.2f}",
        phase.basis,
    ]


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"
