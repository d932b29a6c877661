import pytest

from cortex.errors import ConfigError
from cortex.settings import Settings


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_BUCKET", "CORTEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    unset = Settings()
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_BUCKET", "CORTEX_HOME"):
        monkeypatch.setenv(name, "")
    assert Settings() == unset
    assert unset.teacher_api_key.get_secret_value() and unset.flipside_api_key is None


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("CORTEX_PREFLIGHT_SECONDS", "soon", "should be a valid number"),
        ("CORTEX_PREFLIGHT_SECONDS", "0", "should be greater than 0"),
        ("CORTEX_CONTAINER_MEMORY", "lots", "should match pattern"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    name: str, value: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name} is '{value}': .*{fault}"):
        Settings()
