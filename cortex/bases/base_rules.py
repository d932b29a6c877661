"""Rules for a base model's files, so that `sft` can load it and format conversations, and the list of needed files.

They are the same for a folder of this machine and for a model of the hub, and need the standard library alone. Faults
that only the trainer's libraries can find, such as a template that fails on a message, still show in `sft`: a template
is a program that somebody else wrote, so it is not run here, where nothing limits its time and output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from cortex.artifacts.file_names import SIDECARS
from cortex.errors import ConfigError
from cortex.limits import MIB, read_json

CONFIG, ADAPTER = "config.json", "adapter_config.json"
TOKENIZER, SETTINGS, SPECIAL = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
TEMPLATE, MORE_TEMPLATES = "chat_template.jinja", "additional_chat_templates/"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

_READ_WHOLE = (CONFIG, SPECIAL, SETTINGS, TEMPLATE, INDEX)
READ = {**dict.fromkeys(_READ_WHOLE, 8 * MIB), TOKENIZER: 128 * MIB}
"""The files that are read, with the most bytes of each: a tokenizer with 256,000 words has about 35 MB."""

_TOKENIZERS = (TOKENIZER, "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")

_KINDS = (".json", ".jinja", ".txt", ".model")
"""Suffixes of the small files that loading may read: configurations, templates, vocabularies."""
TERMS_FILES = ("LICENSE", "NOTICE", "USE_POLICY")
"""Files that a licence requires to be passed on with every copy."""
_NOT_LOADED = frozenset({ADAPTER, "pytorch_model.bin.index.json", *SIDECARS})
"""Left out: an adapter's configuration, since transformers would load the adapter on top of whole weights unasked; an
index of pickled weights; and the names of a copy's own manifest and signature."""


@dataclass(frozen=True)
class BaseFiles:
    """A base model's file names, and the bytes of those files that `READ` lists."""

    base: str
    names: frozenset[str]
    contents: Mapping[str, bytes]


def require_trainable(files: BaseFiles) -> None:
    """Return if `sft` could train from a base with these files.

    Raises:
        ConfigError: the base lacks something; the message names it, and the fix.
    """
    where = f"model.base {files.base}"
    weights_of(files)
    read_object(files, CONFIG)
    tokenizer = next((name for name in _TOKENIZERS if name in files.names), None)
    if tokenizer is None:
        raise ConfigError(f"{where} holds no tokenizer ({', '.join(_TOKENIZERS)}): copy the base's own beside it")
    if tokenizer == TOKENIZER and not isinstance(read_object(files, TOKENIZER).get("model"), dict):
        raise ConfigError(f"{files.base}/{TOKENIZER} is no tokenizer: it has no `model`; copy the base's own again")
    if not any(_names_end(read_object(files, name)) for name in (SETTINGS, SPECIAL)):
        raise ConfigError(f"{files.base}/{SETTINGS} names no eos_token: an answer would have no end; name it")
    # A template passed to the trainer alone would not do: `evaluate` also asks the base itself, with its own template.
    if not _has_template(files):
        raise ConfigError(
            f"{where} has no chat template (chat_template in {SETTINGS}, or {TEMPLATE}): take the instruction-tuned "
            "model, or copy its template there"
        )


def needed_files(files: BaseFiles) -> tuple[str, ...]:
    """The sorted names of the files that are loaded from a base, and of its licence. They include neither pickles nor
    code, nor a second set of weights, such as the `original/` and `consolidated` ones beside a hub's model.

    Raises:
        ConfigError: as `weights_of`.
    """
    small = {
        name
        for name in files.names - _NOT_LOADED
        if ("/" not in name and name.endswith(_KINDS))
        or ("/" not in name and name.startswith(TERMS_FILES))
        or (name.startswith(MORE_TEMPLATES) and name.endswith(".jinja"))
    }
    return tuple(sorted(small | weights_of(files)))


def weights_of(files: BaseFiles) -> frozenset[str]:
    """The files with a base's weights: those that its index names, or the single file without an index.

    Raises:
        ConfigError: it is no model, its weights are no safetensors, or a file that the index names is missing.
    """
    where = f"model.base {files.base}"
    if CONFIG not in files.names:
        if ADAPTER in files.names:
            raise ConfigError(f"{where} holds an adapter alone: merge it into its base, and name the merged model")
        raise ConfigError(f"{where} holds no {CONFIG}: name what `save_pretrained` wrote")
    if INDEX not in files.names:
        if WEIGHTS not in files.names:
            raise ConfigError(
                f"{where} holds no {WEIGHTS} and no {INDEX}: name a model whose weights are safetensors, or load this "
                "one and save it anew by `save_pretrained`"
            )
        return frozenset({WEIGHTS})
    shards = read_object(files, INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ConfigError(f"{files.base}/{INDEX} maps no weights to files (`weight_map`): copy it again")
    named = frozenset(map(str, cast(dict[str, Any], shards).values()))
    absent = sorted(named - files.names)
    if absent:
        raise ConfigError(f"{where} lacks {absent[0]!a}, which its {INDEX} names: copy the model again")
    return named


def _names_end(settings: Mapping[str, Any]) -> bool:
    """Tell if the token that ends an answer is given, as a text or as a mapping with its flags."""
    token = settings.get("eos_token")
    if isinstance(token, dict):
        token = cast(dict[str, Any], token).get("content")
    return isinstance(token, str) and bool(token)


def _has_template(files: BaseFiles) -> bool:
    """Tell if transformers would find a template named `default`; template files take precedence."""
    if TEMPLATE in files.names:
        return bool(files.contents[TEMPLATE].strip())
    more = [name for name in files.names if name.startswith(MORE_TEMPLATES) and name.endswith(".jinja")]
    if more:
        return f"{MORE_TEMPLATES}default.jinja" in more
    given: Any = read_object(files, SETTINGS).get("chat_template")
    if isinstance(given, list):  # several templates, each with its name
        named = [cast(dict[str, Any], one) for one in cast(list[Any], given) if isinstance(one, dict)]
        given = {str(one.get("name")): one.get("template") for one in named}
    if isinstance(given, dict):
        given = cast(dict[str, Any], given).get("default")
    return isinstance(given, str) and bool(given.strip())


def read_object(files: BaseFiles, name: str) -> dict[str, Any]:
    """A file's JSON object; an empty one if the file is missing."""
    if name not in files.names:
        return {}
    try:
        found: Any = read_json(files.contents[name].decode(), nan=True)  # some models' configurations hold Infinity
    except ValueError as error:
        raise ConfigError(f"{files.base}/{name} is not JSON ({error}): copy it again") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{files.base}/{name} holds no JSON object: copy it again")
    return cast(dict[str, Any], found)
