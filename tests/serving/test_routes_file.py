"""The routes file: read, checked as a whole, and refused with the key and the fix."""

from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.serving.route_rules import Escalate, Share
from cortex.serving.routed_models import open_upstreams
from cortex.serving.routes_file import read_routes
from cortex.serving.serving_settings import ServingSettings

GOOD = """
models:
  small: {release: small-run, weights: gptq-w4, dollars_per_million_tokens: 0.1}
  large:
    {upstream: "https://large.example.com/", model: markets-70b, key_from: LARGE_KEY, dollars_per_million_tokens: 2}
domains:
  markets: {escalate: {first: small, then: large, above: 0.9}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "routes.yaml"
    path.write_text(text)
    return path


def test_a_file_names_models_and_rules(tmp_path: Path) -> None:
    routes = read_routes(write(tmp_path, GOOD))
    assert routes.models["small"].weights == "gptq-w4" and routes.domains["markets"].escalate
    (large,) = open_upstreams(routes, {"LARGE_KEY": "secret"}, ServingSettings())
    assert (large.there, large.client.engine.url) == ("markets-70b", "https://large.example.com")
    assert large.price(1_000_000) == 2


SMALL = "models: {small: {release: run}}\n"
BAD = {
    "no mapping": ("- a", "holds no mapping"),
    "an unknown key": ("model: {}", "unknown key 'model': did you mean 'models'"),
    "no model": ("models: {}", "models: Dictionary should have at least 1 item"),
    "both": ("models: {a: {release: r, upstream: 'https://b'}}", "models.a: give either release or upstream"),
    "neither": ("models: {a: {}}", "models.a: give either release or upstream"),
    "no release": ("models: {a: {upstream: 'https://b'}}", "none has a release"),
    "no address": ("models: {a: {upstream: b}}", "models.a.upstream: does not begin with http"),
    "a path": ("models: {a: {upstream: 'https://b/v1'}}", "models.a.upstream: leave out /v1"),
    "an open key": ("models: {a: {upstream: 'http://b', key_from: KEY}}", "write https://"),
    "a key of a release": ("models: {a: {release: r, key_from: KEY}}", "models.a: model and key_from belong"),
    "a base of full weights": ("models: {a: {release: r, base: /b}}", "models.a: base belongs to a release whose"),
    "a negative price": ("models: {a: {release: r, dollars_per_million_tokens: -1}}", "greater than or equal to 0"),
    "an odd name": ("models: {'a b': {release: r}}", "should match pattern"),
    "no rule": (SMALL + "domains: {markets: {}}", "domains.markets: a rule is one of .* 0 are given"),
    "two rules": (SMALL + "domains: {markets: {fixed: small, share: {models: {small: 1}}}}", "2 are given"),
    "an unknown model": (
        SMALL + "domains: {markets: {fixed: smal}}",
        "domains.markets.fixed: no model 'smal': did you",
    ),
    "shares of more": (SMALL + "domains: {markets: {share: {models: {small: 0.7}}}}", "add up to 0.7"),
    "a key's model": (
        SMALL + "domains: {markets: {share: {models: {small: 1}, keys: {abc: big}}}}",
        "share.keys.abc: no model 'big'",
    ),
    "the same model": (SMALL + "domains: {markets: {escalate: {first: small, then: small, above: 1}}}", "name another"),
    "a threshold of 2": (
        SMALL + "domains: {markets: {escalate: {first: small, then: small, above: 2}}}",
        "domains.markets.escalate.above: .* less than or equal to 1 .given: 2",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_wrong_file_is_refused_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=f"{path}.*{message}"):
        read_routes(path)


def test_a_missing_file_and_a_missing_key_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_routes(tmp_path / "nothing.yaml")
    with pytest.raises(ConfigError, match=r"models\.large\.key_from: the environment variable LARGE_KEY is not set"):
        open_upstreams(read_routes(write(tmp_path, GOOD)), {}, ServingSettings())


def test_shares_are_kept_and_callers_keep_theirs() -> None:
    by_key = Share(models={"a": 0.8, "b": 0.2, "never": 0.0}, keys={"ada": "never"})
    chosen = [by_key.choose("markets", f"caller-{number}", "r") for number in range(5000)]
    assert 0.77 < chosen.count("a") / 5000 < 0.83 and "never" not in chosen
    assert {by_key.choose("markets", "caller-1", f"{number}") for number in range(50)} == {chosen[1]}
    assert by_key.choose("markets", "ada", "r") == "never"
    by_request = Share(models={"a": 0.5, "b": 0.5}, by="request")
    assert {by_request.choose("markets", "caller", f"{number}") for number in range(50)} == {"a", "b"}


def test_a_small_model_is_not_enough_where_it_is_uncertain_or_held_back() -> None:
    rule = Escalate(first="small", then="large", above=0.9)
    assert rule.reason(0.9, held_back=False) is None and rule.reason(None, held_back=False) is None
    assert "0.950, above 0.9" in str(rule.reason(0.95, held_back=False))
    assert "held back" in str(rule.reason(None, held_back=True))
    assert Escalate(first="small", then="large", above=0.9, held_back=False).reason(None, held_back=True) is None
