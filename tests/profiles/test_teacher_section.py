from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile, with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from cortex.stages.teacher_endpoints import provider_endpoints

ONE = {"kind": "deepseek", "model": "deepseek-chat", "price": {"input": 0.27, "output": 1.1}}


def with_teacher(profile: Profile, **teacher: Any) -> Profile:
    return with_overrides(profile, {f"teacher.{key}": value for key, value in teacher.items()})


def test_a_profile_without_newer_keys_keeps_its_bytes(profile: Profile) -> None:
    written = profile.model_dump(mode="json")["teacher"]
    older = {"model", "url", "port", "examples", "concurrency", "temperature", "max_tokens", "patience_seconds"}
    assert set(written) == older
    assert with_teacher(profile, providers=[], dollars=None, cache=True).digest == profile.digest


@pytest.mark.parametrize(
    "teacher",
    [{"providers": [ONE]}, {"providers": [ONE], "dollars": 5.0}, {"providers": [ONE], "tokens": 9}, {"cache": False}],
)
def test_newer_keys_change_the_digest_and_are_read_again(teacher: dict[str, Any], profile: Profile) -> None:
    found = with_teacher(profile, **teacher)
    assert found.digest != profile.digest and Profile.from_json(found.to_json(), "there") == found


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({"providers": [{"kind": "azure", "model": "m"}]}, "kind azure has an address of its own: give `url`"),
        ({"providers": [{"kind": "vllm", "model": "m"}]}, "kind vllm has an address"),
        ({"providers": [ONE | {"azure_version": "2024-10-21"}]}, "azure_version is for kind azure"),
        ({"providers": [ONE, ONE]}, "two providers are called 'deepseek'"),
        ({"providers": [ONE], "url": "http://127.0.0.1/v1"}, "set `url: null`"),
        ({"providers": [{"kind": "openai", "model": "m"}], "dollars": 5.0}, "provider 'openai' has no `price`"),
        ({"providers": [ONE | {"price": {"input": 1.0}}]}, "price.output"),
        ({"providers": [ONE | {"key": "my key"}]}, "key"),
        ({"providers": [ONE, ONE | {"name": "b", "batch": {}}]}, "`batch` is for the first provider, and 'b' is none"),
        ({"providers": [ONE | {"batch": {"share": 0}}]}, "batch.share"),
        ({"dollars": 5.0}, "there are none: list them"),
        ({"prompt": {}}, "teacher.prompt: domain markets has no prompt of its own: give a `file` or a `text`"),
        (
            {"prompt": {"file": "/none.md"}},
            "/none.md: No such file or directory: name a file with the teacher's prompt",
        ),
        ({"prompt": {"file": "/dev/null"}}, "/dev/null has 0 characters: a prompt has 1 to 200,000"),
        ({"prompt": {"file": "a.md", "text": "a"}}, "`file` and `text` both give the prompt: remove one"),
        ({"prompt": {"text": "a", "ask_base": True}}, "a base that is built from nothing: remove it"),
        ({"prompt": {"text": "a", "ask_base": True, "test_examples": 0}}, "there are none: raise them"),
    ],
)
def test_a_wrong_list_is_one_sentence(teacher: dict[str, Any], said: str, profile: Profile) -> None:
    with pytest.raises(ConfigError) as raised:
        with_teacher(profile, **teacher)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_prompts_text_is_in_the_profile_and_its_file_is_not(profile: Profile, tmp_path: Path) -> None:
    file = tmp_path / "guide.md"
    file.write_text("Look twice.\n", encoding="utf-8")
    found = with_teacher(profile, prompt={"file": str(file)})
    assert found.prompt_of("markets") == "Look twice." and str(tmp_path).encode() not in found.to_json()
    assert Profile.from_json(found.to_json(), "there") == found
    file.write_text("Look thrice.\n", encoding="utf-8")
    assert with_teacher(profile, prompt={"file": str(file)}).digest != found.digest != profile.digest
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"guide\.md is no text in UTF-8: save the prompt as such"):
        with_teacher(profile, prompt={"file": str(file)})


def test_a_domains_own_prompt_is_sent_where_none_is_given() -> None:
    guided = with_teacher(load_profile("rehearsal-gym"), prompt={})
    own = guided.prompt_of("gym")
    assert own and "Look twice" in own.replace("look", "Look") and "spell backward" in own
    assert load_profile("rehearsal-gym").prompt_of("gym") is None


def test_a_providers_key_comes_from_its_own_variable(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"kind": "openai", "model": "gpt-5-mini", "temperature": "default", "name": "mini", "concurrency": 3}
    found = with_teacher(profile, providers=[ONE, own])
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-1")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set, and provider mini needs it"):
        provider_endpoints(found, Settings())
    monkeypatch.setenv("OPENAI_API_KEY", "“sk-2”")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds"):
        provider_endpoints(found, Settings())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-2")
    first, second = provider_endpoints(found, Settings())
    assert (first.api_key, first.length_key, first.temperature) == ("sk-1", "max_tokens", found.teacher.temperature)
    assert (second.api_key, second.length_key, second.temperature) == ("sk-2", "max_completion_tokens", None)
    assert (first.concurrency, second.concurrency) == (found.teacher.concurrency, 3)
    assert first.price and str(first.price.input) == "0.27" and second.price is None


def test_a_key_does_not_travel_in_the_open(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    open_way = ONE | {"url": "http://10.0.0.9:8000/v1"}
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-1")
    with pytest.raises(
        ConfigError, match=r"DEEPSEEK_API_KEY would travel to http://10\.0\.0\.9:8000/v1 over plain HTTP"
    ):
        provider_endpoints(with_teacher(profile, providers=[open_way]), Settings())
    with pytest.raises(ConfigError, match=r"CORTEX_TEACHER_URL is .*: unset it"):
        provider_endpoints(with_teacher(profile, providers=[ONE]), Settings(teacher_url="https://elsewhere/v1"))
