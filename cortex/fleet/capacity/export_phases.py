"""Phases after training: merging, GPTQ, the judging of copies, and evaluation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.gguf_phases import GgufPhases
from cortex.fleet.capacity.lengths import PROMPT, answer_tokens, usual_answer
from cortex.fleet.capacity.phase import CONTEXT, NCCL, Knob, Phase
from cortex.fleet.capacity.rates import ENGINE_START, NETWORK, START
from cortex.fleet.capacity.rollouts import TOKEN_SECONDS, Engine
from cortex.fleet.capacity.sheets import GIB, GpuSheet
from cortex.fleet.capacity.sizes import copies_bytes, judged_bytes
from cortex.profiles.export_section import Gptq
from cortex.profiles.profile import Profile
from cortex.runs.stage_list import models

WEIGHTS_SHARE = 0.75
"""Share of a GPU's memory that weights may fill where a model is loaded to answer (`cortex.models.loading`)."""
PCIE = 25e9
"""Bytes a second from the host's memory to a GPU: half of PCIe 5's rate, since the pages are not pinned."""
READ = 4e9
"""Bytes a second of weights from the page cache into tensors."""
BLOCK_SECONDS = 1e-4
"""Seconds of one column in GPTQ's loop, which is some ten small kernels. An estimate."""


@dataclass(frozen=True)
class ExportPhases:
    """The phases of export and evaluation; one model at a time is in memory."""

    profile: Profile
    architecture: Architecture
    sheet: GpuSheet
    disk: float
    """Bytes a second of the exporting machine's disk."""

    def phases(self) -> Iterator[Phase]:
        yield self._merge()
        for copy in self.profile.export.gptq:
            yield self._quantize(copy)
        if self.profile.export.copies:
            yield self._check()
        yield from GgufPhases(self.profile, self.architecture, self.disk).phases()
        yield self._evaluate()

    @property
    def _gpus(self) -> int:
        return self.profile.hardware.export_gpus

    def _merge(self) -> Phase:
        """Merge: the base is downloaded, the adapter is added on the host, weight by weight in place, and the result is
        written.

        The host's 10 % beyond the weights are measured, with peft 0.21 and transformers 5.17 (docs/measurements.md)."""
        whole = BF16 * self.architecture.parameters
        seconds = max(whole / NETWORK, whole / self.disk) + whole / READ + whole / self.disk + START
        return Phase(
            "export", "merge", seconds, gpus=self._gpus, host=1.1 * whole, disk=2 * whole, moved=whole,
        )  # fmt: skip

    def _quantize(self, copy: Gptq) -> Phase:
        """GPTQ, one layer at a time on one GPU, the rest on the host (llm-compressor's sequential onloading).

        The GPU holds a layer's weights; for each of its linear layers a Hessian of inputs x inputs in float32, and two
        more of the largest, for its inversion by Cholesky; and the calibration's activations before and after the
        layer. While it saves, the host holds the copy beside the weights, which is measured, too.
        Frantar et al., "GPTQ", 2023, section 3: Hessians take tokens x inputs^2 operations, the inverses inputs^3, and
        the columns go one after the other. llm-compressor adds Hessians up in float32.
        """
        a, wanted = self.architecture, self.profile.export
        tokens = wanted.calibration_examples * min(self.profile.sft.sequence_length, answer_tokens(self.profile))
        hessians = [inputs * inputs for inputs, _ in a.linears]
        largest = max(hessians)
        gpu = (
            BF16 * a.layer
            + FLOAT * (sum(hessians) + 3 * largest)
            + FLOAT * max(inputs * outputs for inputs, outputs in a.linears) * 2
            + 2 * BF16 * tokens * a.hidden
            + CONTEXT * GIB
        )
        per_layer = (
            2.0 * tokens * sum(hessians) / self.sheet.flops32
            + 4.0 * sum(size**1.5 for size in hessians) / self.sheet.flops32
            + sum(inputs for inputs, _ in a.linears) * BLOCK_SECONDS
            + 3 * BF16 * a.layer / PCIE
            + 2 * 2.0 * tokens * a.layer / self.sheet.flops
        )
        size = a.copy(copy.bits)
        return Phase(
            "export",
            f"quantize w{copy.bits}",
            a.layers * per_layer + size / self.disk + BF16 * a.parameters / READ,
            gpu=gpu,
            gpus=self._gpus,
            capacity=self.sheet.bytes,
            host=1.1 * BF16 * a.parameters + size,
            disk=size,
            knobs=(Knob("export.calibration_examples", tuple(range(wanted.calibration_examples - 8, 7, -8))),),
        )

    def _check(self) -> Phase:
        """Check of the merged model and its GPTQ copies on held-out examples (`cortex.stages.export`).

        The merged model answers, and so do copies whose scores the profile bounds. Log-probabilities along the merged
        model's answers are computed by it, by base and adapter, and by each copy, which unpacks to bf16 at its first
        pass. Weights beyond the GPUs' share are read from the host's memory in every pass; for answers, that is at
        every token."""
        a, wanted = self.architecture, self.profile.export
        whole = BF16 * a.parameters
        room = WEIGHTS_SHARE * (self.sheet.bytes - CONTEXT * GIB) * self._gpus
        spilled = max(0.0, whole - room)
        rows = min(wanted.batch_size, wanted.check_examples)
        batches = -(-wanted.check_examples // rows)
        longest = wanted.answer_tokens or self.profile.evaluate.max_new_tokens
        answering = 1 + sum(copy.max_loss_rise is not None for copy in wanted.gptq)
        passing = 1 + (self.profile.model.adapter is not None) + len(wanted.gptq)
        one = (whole - spilled) / self.sheet.bandwidth + spilled / PCIE
        through = 2.0 * a.multiplied * rows * (PROMPT + longest) / self.sheet.flops
        kept = judged_bytes(self.profile, a, wanted.answer_tokens or usual_answer(longest))
        seconds = answering * batches * longest * (TOKEN_SECONDS + one) + passing * batches * (one + through)
        tables = BF16 * rows * longest * a.vocabulary + 6 * FLOAT * longest * a.vocabulary
        cache = rows * (PROMPT + longest) * a.cache / self._gpus
        arriving = BF16 * a.layer if spilled else 0
        return Phase(
            "export",
            "check copies",
            seconds + (answering + passing) * whole / READ + kept / self.disk,
            gpu=min(whole, room) / self._gpus + tables + cache + arriving + CONTEXT * GIB,
            gpus=self._gpus,
            capacity=self.sheet.bytes,
            host=whole + kept / wanted.check_examples,
            disk=judged_bytes(self.profile, a),
            knobs=(
                Knob("export.batch_size", tuple(range(rows - 1, 0, -1))),
                Knob("hardware.export_gpus", tuple(n for n in (2, 4, 8) if n > self._gpus)),
            ),
        )

    def _evaluate(self) -> Phase:
        """Evaluation of every model with vLLM on all GPUs: the base with each stage's adapter, then each copy."""
        a, wanted, hardware = self.architecture, self.profile.evaluate, self.profile.hardware
        gpus = hardware.gpus_to_evaluate
        whole = BF16 * a.parameters
        usual = usual_answer(wanted.max_new_tokens)
        stages, copies = len(models(self.profile)), self.profile.export.gptq
        sizes = [whole] * (1 if self.profile.model.adapter else 1 + stages)
        sizes += [a.copy(copy.bits) for copy in copies]
        # Artifacts are downloaded whole: the export's merged weights, too, though only its copies are judged.
        trained = FLOAT * a.trained(self.profile.model.adapter) if self.profile.model.adapter else whole
        coming = 2 * whole + stages * trained + copies_bytes(self.profile, a)
        answered = 1 + stages + len(copies)
        seconds = START + max(coming / NETWORK, coming / self.disk)
        for size in sizes:
            engine = Engine(a, self.sheet, gpus, size)
            asked = (answered - len(copies)) / (len(sizes) - len(copies)) if size == whole else 1.0
            at_once = min(256.0, engine.room(0.9, PROMPT + usual))
            one = engine.seconds(wanted.examples, PROMPT, wanted.max_new_tokens, usual, at_once)
            seconds += ENGINE_START + size / READ / gpus + asked * one
        engine = Engine(a, self.sheet, gpus, max(sizes))
        lacking = max(0.0, engine.least(PROMPT + wanted.max_new_tokens) - 0.9 * self.sheet.bytes)
        return Phase(
            "evaluate",
            "evaluate",
            seconds,
            gpu=0.9 * self.sheet.bytes + (NCCL * GIB if gpus > 1 else 0.0) + lacking,
            gpus=gpus,
            capacity=self.sheet.bytes,
            lacking=lacking,
            host=max(sizes) + 4 * GIB * gpus,
            disk=coming,
            moved=coming,
            knobs=(Knob("hardware.evaluate_gpus", tuple(n for n in (2, 4, 8) if n > gpus)),),
        )


def export_phases(
    profile: Profile, architecture: Architecture, sheet: GpuSheet, disks: Mapping[str, float]
) -> list[Phase]:
    """The phases of export and evaluation in order."""
    return list(ExportPhases(profile, architecture, sheet, disks["export"]).phases())
