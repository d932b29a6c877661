"""The shape of a base: in its folder, with the kit, or on a real server on loopback."""

import json
from pathlib import Path

import pytest

from cortex.bases.base_config import base_config, shipped_config
from cortex.errors import ConfigError
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.profiles.profile_sections import Model, ScratchModel
from tests.fleet.services import TRAINABLE, Hub, serving

NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_the_base_of_every_shipped_profile_is_known_without_a_hub(name: str) -> None:
    model = load_profile(name).model
    assert base_config(model, NOWHERE)["num_hidden_layers"] > 0
    assert model.base is None or shipped_config(model.base)


def test_a_folder_is_read_and_one_without_a_configuration_is_refused(tmp_path: Path) -> None:
    model = Model(base=str(tmp_path))
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        base_config(model, NOWHERE)
    for bad, words in ((b"{", "no model's configuration"), (b"[1]", "no JSON object"), (b" " * 2**21, "more than")):
        (tmp_path / "config.json").write_bytes(bad)
        with pytest.raises(ConfigError, match=words):
            base_config(model, NOWHERE)
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 64}), encoding="utf-8")
    assert base_config(model, NOWHERE) == {"hidden_size": 64}


def test_the_hub_is_asked_for_what_is_not_shipped() -> None:
    hub = Hub(TRAINABLE | {"config.json": b'{"hidden_size": 96}'})
    with serving(hub) as url:
        assert base_config(Model(base="open/model"), {"HF_ENDPOINT": url}) == {"hidden_size": 96}
    assert not [path for path in hub.asked if "tokenizer" in path]
    with serving(Hub({"README.md": b""})) as url, pytest.raises(ConfigError, match=r"has no config\.json on the hub"):
        base_config(Model(base="open/model"), {"HF_ENDPOINT": url})
    with pytest.raises(ConfigError, match=r"not known here: .* put its config\.json into jobs/shapes/open--model/"):
        base_config(Model(base="open/model"), NOWHERE)


def test_a_scratch_model_has_the_shape_that_it_is_built_with() -> None:
    config = base_config(Model(scratch=ScratchModel(vocabulary=641, hidden_size=64, heads=2)), NOWHERE)
    assert (config["vocab_size"], config["hidden_size"], config["tie_word_embeddings"]) == (656, 64, True)
