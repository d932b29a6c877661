"""GGUF copies are served by llama.cpp, or refused with the reason; requests mean the same to it as to vLLM."""

from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.serving.engine_command import engine_command
from cortex.serving.llama_command import translate
from cortex.settings import Settings

HELLO: dict[str, Any] = {"model": "a", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}


def test_a_form_becomes_the_grammar_that_was_made_of_it() -> None:
    asked = {**HELLO, "temperature": 0, "structured_outputs": {"regex": "a+"}}
    assert translate(asked, {"a+": "start: /a+/"}) == HELLO | {
        "temperature": 0,
        "grammar": "start: /a+/",
        "cache_prompt": False,
    }
    assert asked["structured_outputs"], "what was given is left as it was"


def test_only_what_is_drawn_may_use_what_is_kept_of_earlier_prompts() -> None:
    assert translate(HELLO, {})["cache_prompt"] and translate(HELLO | {"temperature": 0.5}, {})["cache_prompt"]
    assert not translate(HELLO | {"temperature": 0}, {})["cache_prompt"]


def _command(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).write_text("GGUF")
    engine_command(folder, "a", 1, Settings(), gpus=0, max_tokens=9, context=64)


def test_one_file_is_served(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds 2 GGUF files: one is served"):
        _command(tmp_path, "a.gguf", "b.gguf")


def test_an_image_that_has_vllm_refuses_a_gguf_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vllm.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="this image has vLLM alone: serve another copy here"):
        _command(tmp_path, "model.gguf")
