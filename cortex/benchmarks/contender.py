"""A model to benchmark: a folder of weights on this machine, or a server that speaks OpenAI's protocol."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex.benching.bench_target import BenchTarget, find_model, read_target
from cortex.errors import UsageError
from cortex.limits import CONFIG_BYTES, read_file, read_json
from cortex.models.model_files import ADAPTER_FILE, is_adapter
from cortex.paths import expand
from cortex.settings import Settings

RETRIES = 3
"""Tries of one question at a server; lm-eval gives up the whole benchmark after them."""

REPLY_SECONDS = 600
"""Seconds that one reply may take, as for a teacher's."""

FOLDER_BATCH = 8
"""Questions that a folder's model answers at a time."""


@dataclass(frozen=True)
class Contender:
    """A model, as lm-eval is told of it."""

    label: str
    """Name in tables and records."""
    model: str
    """lm-eval's name of the way to ask it."""
    arguments: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further keys of lm-eval's configuration."""
    key: str | None = field(default=None, repr=False)


def read_contender(text: str, settings: Settings, setting: str, concurrency: int) -> Contender:
    """A contender from a folder, `URL` or `MODEL@URL`; `setting` holds the key that a server is sent.

    Raises:
        UsageError: it is neither a folder of a model nor an address.
        ConfigError: the server lists no model, lets nobody in, or others could read the key on its way.
    """
    folder = Path(expand(text))
    if folder.is_dir():
        return folder_contender(folder)
    if "://" not in text:
        raise UsageError(f"{text[:200]} is no folder and no address: name a model's folder, URL or MODEL@URL")
    return _endpoint(asyncio.run(_with_model(read_target(text, settings, setting))), concurrency)


def folder_contender(folder: Path) -> Contender:
    """The model in a folder; an adapter stands on the base that its configuration names.

    Raises:
        UsageError: the folder holds no model.
    """
    where = str(folder.absolute())
    if is_adapter(folder):
        base = _base_of(folder / ADAPTER_FILE)
        found = {"pretrained": base, "peft": where, "tokenizer": base}
    elif (folder / "config.json").is_file():
        found = {"pretrained": where}
    else:
        raise UsageError(f"{folder} holds neither config.json nor {ADAPTER_FILE}: name the folder of a model")
    # The environment's torch is for processors; a model that needs a GPU is served, and named by its address.
    return Contender(str(folder), "hf", found, {"device": "cpu", "batch_size": FOLDER_BATCH})


def _base_of(path: Path) -> str:
    try:
        config = read_json(read_file(path, CONFIG_BYTES))
    except ValueError:
        config = None
    base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(base, str) or not base:
        raise UsageError(f"{path} names no base: write its folder as base_model_name_or_path")
    return base


def _endpoint(target: BenchTarget, concurrency: int) -> Contender:
    arguments = {
        "model": target.model,
        "base_url": f"{target.url}/chat/completions",
        "num_concurrent": concurrency,
        "max_retries": RETRIES,
        "timeout": REPLY_SECONDS,
    }
    return Contender(target.label, "local-chat-completions", arguments, key=target.key)


async def _with_model(target: BenchTarget) -> BenchTarget:
    async with target.client() as client:
        return await find_model(target, client)
