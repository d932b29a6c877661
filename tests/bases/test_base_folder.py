import json
from pathlib import Path

import pytest

from cortex.bases.base_folder import check_base
from cortex.errors import ConfigError
from tests.conftest import Cortex

GOOD = {
    "model.safetensors": "weights",
    "config.json": '{"model_type": "llama"}',
    "tokenizer.json": '{"model": {"type": "BPE"}}',
    "tokenizer_config.json": '{"eos_token": "</s>", "chat_template": "{{ messages }}"}',
}


def put(folder: Path, **changes: str | None) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in {**GOOD, **changes}.items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def test_a_whole_base_passes_and_a_hub_s_is_not_looked_at(tmp_path: Path) -> None:
    check_base(put(tmp_path / "a"))
    bare = '{"eos_token": {"content": "</s>"}}'
    check_base(put(tmp_path / "b", **{"tokenizer_config.json": bare, "chat_template.jinja": "{{ messages }}"}))
    named = json.dumps({"eos_token": "</s>", "chat_template": [{"name": "default", "template": "{{ messages }}"}]})
    check_base(put(tmp_path / "c", **{"tokenizer_config.json": named}))
    several = {"eos_token": "</s>", "chat_template": {"default": "{{ messages }}", "tool_use": "x"}}
    check_base(put(tmp_path / "d", **{"tokenizer_config.json": json.dumps(several)}))
    bare_map = {"tokenizer_config.json": '{"eos_token": null}', "special_tokens_map.json": bare}
    check_base(put(tmp_path / "e", **bare_map, **{"chat_template.jinja": "{{ messages }}"}))
    folder = Path(put(tmp_path / "f", **{"tokenizer_config.json": bare, "config.json": '{"time_step": Infinity}'}))
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "default.jinja").write_text("{{ messages }}", encoding="utf-8")
    check_base(str(folder))
    (tmp_path / "links").mkdir()
    for path in (tmp_path / "a").iterdir():  # as the hub's cache lays a model out
        (tmp_path / "links" / path.name).symlink_to(path)
    check_base(str(tmp_path / "links"))
    check_base("somebody/model")
    check_base("m" * 5000)
    check_base(None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config.json": None}, "holds no config.json"),
        ({"config.json": None, "adapter_config.json": "{}"}, "adapter alone"),
        ({"config.json": "["}, "config.json is not JSON"),
        ({"model.safetensors": None}, "holds no model.safetensors and no model.safetensors.index.json"),
        ({"model.safetensors.index.json": '{"weight_map": {"a": "other.safetensors"}}'}, "lacks 'other.safetensors'"),
        ({"tokenizer.json": None}, "holds no tokenizer"),
        ({"tokenizer.json": "{"}, "tokenizer.json is not JSON"),
        ({"tokenizer.json": "[]"}, "holds no JSON object"),
        ({"tokenizer.json": "{}"}, "is no tokenizer"),
        ({"tokenizer.json": "[" * 100_000}, "is not JSON"),
        ({"tokenizer_config.json": '{"chat_template": "x"}'}, "names no eos_token"),
        ({"tokenizer_config.json": '{"eos_token": "x"}'}, "has no chat template"),
        ({"tokenizer_config.json": '{"eos_token": "x", "chat_template": []}'}, "has no chat template"),
        (
            {"tokenizer_config.json": '{"eos_token": "x", "chat_template": [{"name": "rag", "template": "x"}]}'},
            "no chat",
        ),
        ({"chat_template.jinja": " "}, "has no chat template"),
        ({"tokenizer_config.json": '{"eos_token": {"content": ""}, "chat_template": "x"}'}, "names no eos_token"),
        ({"tokenizer_config.json": None}, "names no eos_token"),
    ],
)
def test_what_sft_could_not_load_is_refused(tmp_path: Path, changes: dict[str, str | None], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_base(put(tmp_path / "base", **changes))


def test_a_rehearsal_refuses_it_before_it_makes_or_pays_for_anything(cortex: Cortex, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        f"{{name: mine, domain: {{kind: markets}}, model: {{base: {tmp_path / 'nowhere'}}}, "
        "sft: {learning_rate: 1.0e-5, max_steps: 2, "
        "save_steps: 1}, grpo: {micro_batch_size: 8, learning_rate: 1.0e-5, max_steps: 2, save_steps: 1}}",
        encoding="utf-8",
    )
    refused = cortex("rehearse", "--profile", profile)
    assert refused.returncode == 78 and "there is no such folder" in refused.stderr, refused.stderr
    assert not (tmp_path / "home" / "environments").exists() and not (tmp_path / "home" / "bucket" / "runs").exists()
