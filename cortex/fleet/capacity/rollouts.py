"""vLLM's memory and time: its share of a GPU, the cache of keys and values, and the tokens of a batch."""

from dataclasses import dataclass

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.sheets import GIB, GpuSheet

GRAPHS = 1.0
"""GiB of vLLM's captured CUDA graphs, which stay on the GPU while it sleeps. An estimate."""

BATCHED = 8192
"""Tokens of one pass over prompts (`max_num_batched_tokens`): vLLM sets room for their activations aside."""

STEP_SECONDS = 3e-3
"""Of each decoding step outside of the GPU's kernels: scheduling, sampling, handing out. An estimate."""
REDUCE_SECONDS = 12e-6
"""Of one small sum over the GPUs of a machine; tensor parallelism needs two for each layer."""

TOKEN_SECONDS = 40e-3
"""Of a token by transformers' own generate, beside the reading of weights: some 1,500 kernels. An estimate."""


@dataclass(frozen=True)
class Engine:
    """One copy of a model over `tensor` GPUs."""

    architecture: Architecture
    sheet: GpuSheet
    tensor: int
    weight_bytes: float
    """Of all weights, whatever their precision."""

    @property
    def weights(self) -> float:
        """Bytes of each GPU's weights."""
        return self.weight_bytes / self.tensor

    @property
    def working(self) -> float:
        """Bytes of each GPU beside weights and cache: activations of a pass over prompts, and the words' probabilities.

        Two tensors as wide as the feed-forward part and four as wide as the model (vLLM's fused layers); logits of 256
        sequences in float32, twice.
        """
        a = self.architecture
        passing = BF16 * BATCHED * (2 * a.intermediate / self.tensor + 4 * a.hidden)
        return passing + 2 * FLOAT * 256 * a.vocabulary + GRAPHS * GIB

    def least(self, length: int) -> float:
        """Bytes of each GPU with room for one sequence of this length, without which vLLM does not start."""
        return self.weights + self.working + length * self.architecture.cache / self.tensor

    def room(self, share: float, tokens: int) -> float:
        """Sequences of so many tokens whose cache fits, where vLLM is given this share of each GPU."""
        cache = share * self.sheet.bytes - self.weights - self.working
        return max(0.0, cache) * self.tensor / (tokens * self.architecture.cache)

    def seconds(self, sequences: float, prompt: int, longest: int, usual: int, at_once: float) -> float:
        """For answers to so many prompts: `longest` tokens at most, `usual` ones on average, `at_once` side by side.

        Decoding reads all weights, and the cache of the sequences at work, for each token (Pope et al., "Efficiently
        Scaling Transformer Inference", 2023); prompts are bound by arithmetic.
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
