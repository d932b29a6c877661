"""A base model's folder, looked at before anything is paid for: could `sft` load it, and give it a conversation?

It reads the small files that a model's folder has beside its weights, with the standard library alone. What only the
trainer's libraries can tell, such as a template that fails on a message, still shows in `sft`.
"""

import json
from pathlib import Path
from typing import Any, cast

from cortex.errors import ConfigError

_LARGEST = 256 * 2**20
"""Bytes of the largest file that is read: a tokenizer of 256,000 words takes about 35 MB."""

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_TEMPLATE = "chat_template.jinja"


def is_folder(base: str) -> bool:
    """Whether a base is named as a folder of this machine, and not as a model of the hub."""
    return base.startswith((".", "~")) or Path(base).is_absolute() or Path(base).is_dir()


def check_base(base: str | None) -> None:
    """Refuse a folder that `sft` could not train from; a hub's model, or none, is not looked at here.

    Raises:
        ConfigError: what it lacks.
    """
    if base is None or not is_folder(base):
        return
    folder = Path(base).expanduser()
    where = f"model.base {base}"
    if not folder.is_dir():
        raise ConfigError(f"{where}: there is no such folder: correct it in the profile, or put the model there")
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise ConfigError(f"{where} holds an adapter alone: merge it into its base, and name the merged folder")
        raise ConfigError(f"{where} holds no config.json: name the folder that `save_pretrained` wrote")
    _read(folder / "config.json")
    tokenizer = next((folder / name for name in _TOKENIZERS if (folder / name).is_file()), None)
    if tokenizer is None:
        raise ConfigError(f"{where} holds no tokenizer ({', '.join(_TOKENIZERS)}): copy the base's own beside it")
    if tokenizer.name == "tokenizer.json" and not isinstance(_read(tokenizer).get("model"), dict):
        raise ConfigError(f"{tokenizer} is no tokenizer: it has no `model`; copy the base's own again")
    settings = _settings(folder)
    if not settings.get("eos_token"):
        raise ConfigError(
            f"{folder / 'tokenizer_config.json'} names no eos_token: an answer would have no end; name it"
        )
    if not _has_template(folder, settings):
        raise ConfigError(
            f"{where} has no chat template (chat_template in tokenizer_config.json, or {_TEMPLATE}): take the "
            "instruction-tuned model, or copy its template there"
        )


def _settings(folder: Path) -> dict[str, Any]:
    """The tokenizer's settings, those of older models' special tokens among them."""
    files = (folder / name for name in ("special_tokens_map.json", "tokenizer_config.json"))
    return {key: value for path in files if path.is_file() for key, value in _read(path).items()}


def _has_template(folder: Path, settings: dict[str, Any]) -> bool:
    path = folder / _TEMPLATE
    if path.is_file():
        return path.stat().st_size > 0
    given = settings.get("chat_template")
    if isinstance(given, list):  # several, by name; trainers take the one named `default`
        named = [cast(dict[str, Any], one) for one in cast(list[Any], given) if isinstance(one, dict)]
        given = {str(one.get("name")): one.get("template") for one in named}.get("default")
    return isinstance(given, str) and bool(given.strip())


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path} has over {_LARGEST >> 20} MiB: it is no such file of a model")
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}: mend its rights, or copy it again") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}): copy it again") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no JSON object: copy it again")
    return cast(dict[str, Any], found)
