import pytest
from pydantic import SecretStr

from cortex.settings import Settings
from cortex.teaching.key_way import key_laid_open


@pytest.mark.parametrize(
    ("url", "open_to_others"),
    [
        ("https://api.example.com/v1", False),
        ("HTTPS://api.example.com/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://127.8.8.8:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://api.example.com/v1", True),
        ("http://10.40.0.7:8000/v1", True),
        ("http://localhost.example.com/v1", True),
        ("http://127.0.0.1.example.com/v1", True),
        ("http://0.0.0.0:8000/v1", True),
    ],
)
def test_a_key_goes_over_tls_or_stays_on_this_machine(url: str, open_to_others: bool) -> None:
    fault = key_laid_open(url, Settings(teacher_api_key=SecretStr("s3cret")))
    assert (fault is not None) is open_to_others
    assert "s3cret" not in (fault or "")
    for settings in (Settings(), Settings(teacher_api_key=SecretStr("s3cret"), teacher_plain_http=True)):
        assert key_laid_open(url, settings) is None, "without a key, or where its owner says so, any way will do"
