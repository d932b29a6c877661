"""Check that nobody can read an endpoint's key on its way over the network."""

from typing import Literal

from cortex.settings import Settings
from cortex.urls import lays_keys_open

KEEP_PRIVATE = (
    "use https://, or http://127.0.0.1 through an SSH tunnel; inside a network of your own, where you trust every "
    "machine, CORTEX_TEACHER_PLAIN_HTTP=1"
)


def key_laid_open(
    url: str, settings: Settings, setting: Literal["teacher_api_key", "sampler_api_key"] = "teacher_api_key"
) -> str | None:
    """Reason why others could read an endpoint's key on the way; None where they could not, or no key is sent."""
    key = getattr(settings, setting).get_secret_value()
    return None if key in ("", "none") else variable_laid_open(f"CORTEX_{setting.upper()}", url, settings)


def variable_laid_open(name: str, url: str, settings: Settings) -> str | None:
    """Reason why others could read a variable's value on its way to a service; None where they could not."""
    if settings.teacher_plain_http or not lays_keys_open(url):
        return None
    return f"{name} would travel to {url} over plain HTTP, for anybody on the way to read"
