"""The endpoints of a profile's teacher: its one address, or its providers with the keys of the environment."""

import os
from decimal import Decimal

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.teacher_section import Provider, Teacher, TokenPrice
from cortex.settings import Settings
from cortex.teaching.chat import BatchTerms, Endpoint
from cortex.teaching.key_way import KEEP_PRIVATE, key_laid_open, variable_laid_open
from cortex.teaching.usage import Price
from cortex.variables.client_settings import check_key


def provider_endpoints(profile: Profile, settings: Settings) -> list[Endpoint]:
    """The profile's providers, in order of preference.

    Raises:
        ConfigError: a key is missing or no key, others could read it on its way, or the environment names another
            endpoint.
    """
    teacher = profile.teacher
    if settings.teacher_url:
        raise ConfigError(
            f"CORTEX_TEACHER_URL is {settings.teacher_url}, and the profile lists teacher.providers: unset it, or set "
            "teacher.providers=[]"
        )
    endpoints = [describe_provider(teacher, provider, _key_of(provider, settings)) for provider in teacher.providers]
    for endpoint in endpoints:
        fault = variable_laid_open(endpoint.key_variable, endpoint.url, settings)
        if fault and endpoint.api_key != "none":
            raise ConfigError(f"{fault}: {KEEP_PRIVATE}")
    return endpoints


def describe_provider(teacher: Teacher, provider: Provider, key: str) -> Endpoint:
    """A provider as the client takes it."""
    return Endpoint(
        url=provider.address,
        api_key=key,
        model=provider.model,
        concurrency=provider.concurrency or teacher.concurrency,
        temperature=teacher.temperature if provider.temperature == "profile" else None,
        max_tokens=teacher.max_tokens,
        patience_seconds=teacher.patience_seconds,
        key_variable=provider.key_variable,
        name=provider.called,
        price=_price(provider.price),
        terms=provider.terms,
        length_key=provider.length_parameter,
        azure_version=provider.azure_version,
        requests_per_minute=provider.requests_per_minute,
        tokens_per_minute=provider.tokens_per_minute,
        batch=_batch(provider),
    )


def single_endpoint(profile: Profile, url: str, settings: Settings) -> Endpoint:
    """The teacher's one endpoint.

    Raises:
        ConfigError: others could read its key on the way.
    """
    if fault := key_laid_open(url, settings):
        raise ConfigError(f"{fault}: {KEEP_PRIVATE}")
    teacher = profile.teacher
    return Endpoint(
        url=url,
        api_key=settings.teacher_api_key.get_secret_value(),
        model=teacher.model,
        concurrency=teacher.concurrency,
        temperature=teacher.temperature,
        max_tokens=teacher.max_tokens,
        patience_seconds=teacher.patience_seconds,
    )


def _key_of(provider: Provider, settings: Settings) -> str:
    name = provider.key_variable
    if name == "CORTEX_TEACHER_API_KEY":
        return settings.teacher_api_key.get_secret_value()
    key = os.environ.get(name, "")
    if not key:
        raise ConfigError(f"{name} is not set, and provider {provider.called} needs it: export {name}=...")
    try:
        check_key(key)
    except ValueError as error:
        raise ConfigError(f"{name} {error}") from None
    return key


def _batch(provider: Provider) -> BatchTerms | None:
    terms = provider.batch
    return terms and BatchTerms(Decimal(str(terms.share)), terms.requests, terms.poll_seconds)


def _price(price: TokenPrice | None) -> Price | None:
    if price is None:
        return None
    given, made = decimal_of(price.input), decimal_of(price.output)
    assert given is not None and made is not None
    return Price(given, made, decimal_of(price.cached))


def decimal_of(value: float | None) -> Decimal | None:
    """A number as the profile writes it: the shortest text of a float gives back its digits."""
    return None if value is None else Decimal(str(value))
