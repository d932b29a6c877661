"""Check of the keys for other services that the profile uses."""

import os

from pydantic import SecretStr

from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.settings import Settings
from cortex.teaching.key_way import KEEP_PRIVATE, key_laid_open, variable_laid_open
from cortex.urls import is_loopback

NAME = "keys"


def check(ground: Ground) -> Finding:
    """Check that every key that a stage of this profile needs is set; the services themselves are not asked."""
    needed, missing, fixes = list[str](), list[str](), list[str]()
    url = ground.settings.teacher_url or ground.profile.teacher.url
    if url and not is_loopback(url):
        needed.append("CORTEX_TEACHER_API_KEY")
        if "teacher_api_key" not in ground.settings.model_fields_set:
            missing.append(f"CORTEX_TEACHER_API_KEY is not set, and the teacher is {url}")
            fixes.append("export CORTEX_TEACHER_API_KEY=... (`none` for an endpoint that asks for no key)")
        fault = key_laid_open(url, ground.settings)
        if fault:
            missing.append(fault)
            fixes.append(KEEP_PRIVATE)
    for provider in ground.profile.teacher.providers:
        needed.append(provider.key_variable)
        if not is_loopback(provider.address) and not _is_given(provider.key_variable, ground.settings):
            missing.append(f"{provider.key_variable} is not set, and provider {provider.called} asks for it")
            fixes.append(f"export {provider.key_variable}=...")
        fault = variable_laid_open(provider.key_variable, provider.address, ground.settings)
        if fault:
            missing.append(fault)
            fixes.append(KEEP_PRIVATE)
    for variable in ground.profile.domain.key_variables():
        needed.append(variable)
        if not _is_given(variable, ground.settings):
            missing.append(f"{variable} is not set, and the profile's data come from a service that asks for it")
            fixes.append(f"export {variable}=..., or give the profile another domain.source")
    if missing:
        return Finding(NAME, False, "; ".join(missing), "; ".join(fixes))
    optional = ground.profile.domain.optional_keys()
    without = [
        f"{variable} is not set, so {words}"
        for variable, words in optional.items()
        if not _is_given(variable, ground.settings)
    ]
    needed += [variable for variable in optional if _is_given(variable, ground.settings)]
    given = f"set: {', '.join(needed)}" if needed else "this profile needs none"
    return Finding(NAME, True, "; ".join([given, *without]))


def _is_given(variable: str, settings: Settings) -> bool:
    """True where a key is among the settings (from `.env`, too), or in the environment for a library to read."""
    name = variable.removeprefix("CORTEX_").lower()
    key = getattr(settings, name) if name in type(settings).model_fields else os.environ.get(variable)
    return bool(key.get_secret_value() if isinstance(key, SecretStr) else key)
