"""Families of models whose layers the closed forms count correctly, and refusal of models that they would miscount."""

import re
from collections.abc import Mapping
from reprlib import repr as shorten
from typing import Any

from cortex.errors import ConfigError

COUNTED = frozenset(
    {"bitnet", "cohere", "cohere2", "cwm", "diffllama", "doge", "ernie4_5", "exaone4", "gemma", "gemma2", "gemma3_text"}
    | {"glm", "glm4", "granite", "granite_swa", "helium", "hunyuan_v1_dense", "hyperclovax", "llama", "ministral"}
    | {"ministral3", "mistral", "olmo", "olmo2", "olmo3", "phi3", "qwen2", "qwen3", "seed_oss", "smollm3", "stablelm"}
    | {"vaultgemma"}
)
"""Each `model_type` whose layers equal Llama's except for norms and biases: four projections of attention, and three of
a gated feed-forward part. Their parameter counts agree with transformers' own classes within a thousandth
(tests/tracing/test_step_trace.py)."""

TIED = frozenset(
    {"cohere", "cohere2", "ernie4_5", "gemma", "gemma2", "gemma3_text", "granite_swa", "smollm3", "vaultgemma"}
)
"""Families of `COUNTED` whose head is the embedding by default: `save_pretrained` omits defaults from `config.json`."""

_CAUSAL = re.compile(r"(ForCausalLM|LMHeadModel)$")
_EXPERTS = re.compile(r"experts$")
_PLAIN_ATTENTION = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
_OTHER_LAYERS = re.compile(r"^(kv_lora_rank|(mamba|ssm|linear)_.+|.+_layers_block_type|hybrid_override_pattern)$")


def require_countable(config: Mapping[str, Any], where: str) -> None:
    """Return if a configuration is that of a decoder whose layers can be counted like Llama's.

    For a family that is not in `COUNTED`, no key may name a part that Llama does not have: a mixture of experts (all
    are in memory, few are at work), latent attention, or layers with a state.

    Raises:
        ConfigError: it is another kind of model; the message names the key that says so.
    """
    classes: Any = config.get("architectures")
    if isinstance(classes, list) and classes and not any(_CAUSAL.search(str(name)) for name in classes):
        raise _refusal(where, "architectures", classes, "that is no causal language model")
    if config.get("is_encoder_decoder") is True:
        raise _refusal(where, "is_encoder_decoder", True, "that is no decoder alone")
    kind = config.get("model_type")
    if isinstance(kind, str) and kind in COUNTED:
        return
    for key, value in config.items():
        if _EXPERTS.search(key) and value and value != 1:
            raise _refusal(where, key, value, "memory and time of a mixture of experts are not known here")
        if _OTHER_LAYERS.search(key) and value:
            raise _refusal(where, key, value, "memory and time of such layers are not known here")
    layers: Any = config.get("layer_types")
    others = [kind for kind in layers if kind not in _PLAIN_ATTENTION] if isinstance(layers, list) else []
    if others:
        raise _refusal(where, "layer_types", others[0], "memory and time of such layers are not known here")


def _refusal(where: str, key: str, value: object, why: str) -> ConfigError:
    return ConfigError(f"{where}: config.json says {key} {shorten(value)}: {why}: name a dense decoder")
