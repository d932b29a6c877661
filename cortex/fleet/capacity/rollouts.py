"""vLLM's memory and time: weights, activations, the cache of keys and values, and the decoding of a batch."""

from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.sheets import GIB, GpuSheet

GRAPHS = 1.0
"""GiB of vLLM's captured CUDA graphs, which stay on the GPU while it sleeps. An estimate."""

BATCHED = 8192
"""Tokens of one pass over prompts (`max_num_batched_tokens`), for whose activations vLLM reserves memory."""

STEP_SECONDS = 3e-3
"""Seconds of each decoding step outside of the GPU's kernels: scheduling, sampling, output. An estimate."""
REDUCE_SECONDS = 12e-6
"""Seconds of one small all-reduce over the GPUs of a machine; tensor parallelism needs two for each layer."""

TOKEN_SECONDS = 40e-3
"""Seconds of a token by transformers' own generate, besides reading the weights: some 1,500 kernels. An estimate."""


@dataclass(frozen=True)
class Engine:
    """One copy of a model in vLLM, sharded over `tensor` GPUs."""

    architecture: Architecture
    sheet: GpuSheet
    tensor: int
    weight_bytes: float
    """Bytes of all weights, in the precision that they are stored in."""

    @property
    def weights(self) -> float:
        """Bytes of each GPU's weights."""
        return self.weight_bytes / self.tensor

    @property
    def working(self) -> float:
        """Bytes of each GPU besides weights and cache: activations of a pass over prompts, logits, and CUDA graphs.

        The activations are two tensors as wide as the feed-forward part and four as wide as the model (vLLM's fused
        layers); the logits are those of 256 sequences in float32, twice.
        """
        a = self.architecture
        passing = BF16 * BATCHED * (2 * a.intermediate / self.tensor + 4 * a.hidden)
        return passing + 2 * FLOAT * 256 * a.vocabulary + GRAPHS * GIB

    def least(self, length: int) -> float:
        """Bytes of each GPU with room for one sequence of `length` tokens; with less, vLLM does not start."""
        return self.weights + self.working + length * self.architecture.cache / self.tensor

    def room(self, share: float, tokens: int) -> float:
        """Sequences of `tokens` tokens whose cache fits, where vLLM has this share of each GPU."""
        cache = share * self.sheet.bytes - self.weights - self.working
        return max(0.0, cache) * self.tensor / (tokens * self.architecture.cache)

    def seconds(self, sequences: float, prompt: int, longest: int, usual: int, at_once: float) -> float:
        """Seconds to answer `sequences` prompts of `prompt` tokens, `at_once` at a time.

        Answers have `longest` tokens at most, and `usual` on average. For each token, decoding reads all weights and
        the cache of the sequences at work (Pope et al., "Efficiently Scaling Transformer Inference", 2023); prompts are
        bound by arithmetic.
        """
        a, waves = self.architecture, max(1.0, sequences / max(1.0, at_once))
        reading = 2.0 * a.multiplied * sequences * prompt / (self.sheet.flops * self.tensor)
        batch = sequences / waves
        cache = batch * (prompt + usual / 2) * a.cache / self.tensor
        arithmetic = 2.0 * a.multiplied * batch / (self.sheet.flops * self.tensor)
        reducing = 2 * a.layers * REDUCE_SECONDS if self.tensor > 1 else 0.0
        step = max((self.weights + cache) / self.sheet.bandwidth, arithmetic) + reducing + STEP_SECONDS
        # New sequences take the place of those that end; the last wave lasts as long as its longest answer.
        return reading + step * ((waves - 1) * usual + longest)
