import json
from pathlib import Path

import pytest

from cortex.benchmarks.contender import folder_contender, read_contender
from cortex.errors import ConfigError, UsageError
from cortex.settings import Settings


def test_a_folder_is_its_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    found = folder_contender(tmp_path)
    assert found.model == "hf" and found.arguments == {"pretrained": str(tmp_path)}


def test_an_adapter_stands_on_its_base(tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"base_model_name_or_path": "/models/base"}))
    assert folder_contender(tmp_path).arguments["pretrained"] == "/models/base"
    assert folder_contender(tmp_path).arguments["peft"] == str(tmp_path)
    for text in ("{}", "[]", "no json"):
        path.write_text(text)
        with pytest.raises(UsageError, match="names no base"):
            folder_contender(tmp_path)


def test_a_server_is_asked_for_chats_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_AGAINST_API_KEY", "sk-secret-of-the-server")
    found = read_contender("m@http://127.0.0.1:8000/v1/", Settings(), "against_api_key", 5)
    assert found.label == "m@127.0.0.1:8000" and found.key == "sk-secret-of-the-server"
    assert found.arguments["base_url"] == "http://127.0.0.1:8000/v1/chat/completions"
    assert "sk-secret" not in repr(found) and "sk-secret" not in json.dumps(dict(found.arguments))
    with pytest.raises(ConfigError, match="CORTEX_AGAINST_API_KEY would travel"):
        read_contender("m@http://models.example/v1", Settings(), "against_api_key", 5)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds neither config\.json nor adapter_config\.json"):
        folder_contender(tmp_path)
    with pytest.raises(UsageError, match="is no folder and no address"):
        read_contender("no-such-model", Settings(), "bench_api_key", 1)
    with pytest.raises(ConfigError, match="does not answer"):
        read_contender("http://127.0.0.1:9/v1", Settings(), "bench_api_key", 1)
