import json
from typing import Any

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.store import Store
from cortex.errors import ConfigError
from cortex.profiles.passthrough import LOADS_CODE, refused_keys
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run, load_run


@pytest.mark.parametrize("key", LOADS_CODE)
@pytest.mark.parametrize("value", [True, False, ["evil.Plugin"], {"a": 1}])
def test_a_key_that_loads_code_is_refused_whatever_it_says(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"'{key}' cannot be passed on") as raised:
        load_profile("rehearsal", {"sft.axolotl": {key: value}})
    assert raised.value.exit_code == 78 and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "section",
    [
        {"trust_remote_code": True},
        {"overrides_of_model_kwargs": {"trust_remote_code": True}},
        {"overrides_of_model_config": {"auto_map": {"AutoModelForCausalLM": "evil--Model"}}},
        {"overrides_of_model_config": {"_attn_implementation": "evil/kernel"}},
        {"processor_kwargs": {"deeper": [{"and": {"code_revision": "main"}}]}},
        {"model_quantization_config_kwargs": {"use_kernels": True}},
    ],
)
def test_at_any_depth(section: dict[str, Any]) -> None:
    assert list(refused_keys(section))
    with pytest.raises(ConfigError, match="cannot be passed on"):
        load_profile("rehearsal", {"sft.axolotl": section})


def test_a_profile_that_was_written_over_in_the_bucket_is_refused_too(profile: Profile, tmp_path: Any) -> None:
    store: Store = FolderStore(tmp_path)
    create_run(store, "r", profile)
    other = json.loads(profile.to_json())
    other["sft"]["axolotl"] = {"trust_remote_code": True, "plugins": ["evil.Plugin"]}
    store.put("runs/r/profile.json", json.dumps(other).encode())
    with pytest.raises(ConfigError, match="'plugins' cannot be passed on"):
        load_run(store, "r")


def test_what_tunes_a_training_is_passed_on() -> None:
    section = {"neftune_noise_alpha": 5, "lora_target_modules": ["q_proj"], "chat_template_kwargs": {"x": 1}}
    assert load_profile("rehearsal", {"sft.axolotl": section}).sft.axolotl == section
    assert not list(refused_keys(section))
