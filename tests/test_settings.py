import pytest

from cortex.settings import Settings


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_BUCKET", "CORTEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    unset = Settings()
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_BUCKET", "CORTEX_HOME"):
        monkeypatch.setenv(name, "")
    assert Settings() == unset
    assert unset.teacher_api_key.get_secret_value() and unset.flipside_api_key is None
