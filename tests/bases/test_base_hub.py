"""The hub's files of a base, read from a real server on loopback."""

import os
from collections.abc import Mapping
from time import monotonic

import pytest

from cortex.bases import base_hub
from cortex.bases.base_hub import HubSilentError, check_hub_base
from cortex.bases.base_rules import READ
from cortex.errors import ConfigError
from tests.fleet.services import TRAINABLE, Answer, Hub, Request, hanging, serving


def test_a_whole_base_passes_and_its_weights_are_not_fetched() -> None:
    hub = Hub()
    with serving(hub) as url:
        check_hub_base("open/model", {"HF_ENDPOINT": f"{url}/"}, 30.0)
        check_hub_base("gated/model", {"HF_ENDPOINT": url, "HF_TOKEN": "hf_let_in"}, 30.0)
    assert hub.asked and not [path for path in hub.asked if "safetensors" in path]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"adapter_config.json": b"{}"}, "open/model holds an adapter alone"),
        ({"README.md": b""}, "holds no config.json"),
        (TRAINABLE | {"config.json": b"\xff\xfe"}, "open/model/config.json is not JSON"),
        (TRAINABLE | {"tokenizer.json": b"version https://git-lfs.github.com/spec/v1"}, "tokenizer.json is not JSON"),
        (TRAINABLE | {"tokenizer_config.json": b'{"chat_template": "x"}'}, "names no eos_token"),
        (TRAINABLE | {"tokenizer_config.json": b'{"eos_token": "x"}'}, "has no chat template"),
        (TRAINABLE | {"tokenizer_config.json": b'{"x": "' + b"x" * (9 << 20) + b'"}'}, "more than the 8,388,608 bytes"),
    ],
)
def test_what_sft_could_not_load_is_refused(files: Mapping[str, bytes], words: str) -> None:
    with serving(Hub(files)) as url, pytest.raises(ConfigError, match=words):
        check_hub_base("open/model", {"HF_ENDPOINT": url}, 30.0)


@pytest.mark.parametrize(
    "name", ["open/model?x", "a/b/c", "https://hub/open/model", "open/..", "a b", "open/model\n", ""]
)
def test_a_name_that_no_model_can_have_is_refused_unasked(name: str) -> None:
    with pytest.raises(ConfigError, match="no model's name"):
        check_hub_base(name, {"HF_ENDPOINT": "http://127.0.0.1:9"}, 30.0)


def test_a_token_that_does_not_open_the_model_is_refused_and_none_at_all_says_nothing_of_it() -> None:
    with serving(Hub()) as url:
        for name, token in (("gated/model", "hf_new"), ("no/model", "hf_let_in"), ("open/model", "hf_wrong")):
            with pytest.raises(ConfigError, match="HF_TOKEN does not open"):
                check_hub_base(name, {"HF_ENDPOINT": url, "HF_TOKEN": token}, 30.0)
        for name in ("gated/model", "no/model"):
            with pytest.raises(HubSilentError, match="answers 401 without HF_TOKEN"):
                check_hub_base(name, {"HF_ENDPOINT": url}, 30.0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, b"<html>log in to the network</html>"), "no list of a model's files"),
        ((200, {}, b"[]"), "no list of a model's files"),
        ((200, {}, b'{"siblings": [null]}'), "no list of a model's files"),
        ((200, {}, b'{"siblings": null}'), "no list of a model's files"),
        ((200, {}, b"[" * 100_000), "no list of a model's files"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "cannot be reached from here"),
        ((302, {"Location": "/api/models/open/model"}, b""), "cannot be reached from here"),
        ((302, {"Location": "ftp://[x"}, b""), "cannot be reached from here"),
        ((429, {}, b"later"), "answers 429"),
        ((404, {}, b""), "answers 404 without HF_TOKEN"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_no_hub_s_says_nothing_of_the_model(answer: Answer, words: str) -> None:
    with serving(lambda request: answer) as url, pytest.raises(HubSilentError, match=words):
        check_hub_base("open/model", {"HF_ENDPOINT": url}, 30.0)


def test_a_hub_that_hangs_or_is_not_asked_says_nothing_of_the_model() -> None:
    started = monotonic()
    with hanging() as url, pytest.raises(HubSilentError, match="within 1 s"):
        check_hub_base("open/model", {"HF_ENDPOINT": url}, 1.0)
    assert monotonic() - started < 10
    with pytest.raises(HubSilentError, match="HF_HUB_OFFLINE is set"):
        check_hub_base("open/model", {"HF_HUB_OFFLINE": "1"}, 30.0)


def test_no_more_is_read_of_a_listing_than_a_hub_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_hub, "_LISTING_BYTES", 1000)
    with serving(lambda request: (200, {}, b" " * 1001)) as url, pytest.raises(ConfigError, match="1,000 bytes"):
        check_hub_base("open/model", {"HF_ENDPOINT": url}, 30.0)


def test_a_proxy_that_refuses_says_nothing_of_the_model() -> None:
    blocked: Answer = (403, {}, b"blocked by policy")
    with serving(Hub(TRAINABLE | {"tokenizer.json": blocked})) as url, pytest.raises(HubSilentError, match="403"):
        check_hub_base("gated/model", {"HF_ENDPOINT": url, "HF_TOKEN": "hf_let_in"}, 30.0)


def test_a_large_file_is_fetched_from_elsewhere_without_the_token() -> None:
    shown: list[str] = []

    def store(request: Request) -> Answer:
        shown.append(request.authorization)
        return 200, {}, TRAINABLE["tokenizer.json"]

    with serving(store) as elsewhere:
        moved: Answer = (302, {"Location": f"{elsewhere}/blob"}, b"")
        with serving(Hub(TRAINABLE | {"tokenizer.json": moved})) as url:
            check_hub_base("gated/model", {"HF_ENDPOINT": url, "HF_TOKEN": "hf_let_in"}, 30.0)
    assert shown == [""]


def test_a_large_tokenizer_is_read_whole() -> None:
    words = b", ".join(b'"%d": %d' % (n, n) for n in range(300_000))
    data = b'{"model": {"vocab": {' + words + b"}}, " + b" " * (20 << 20) + b'"version": "1.0"}'
    assert len(data) < READ["tokenizer.json"]
    with serving(Hub(TRAINABLE | {"tokenizer.json": data})) as url:
        check_hub_base("open/model", os.environ | {"HF_ENDPOINT": url}, 60.0)
