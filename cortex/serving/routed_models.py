"""The models of a routes file, each opened and given its engine or its upstream."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cortex.artifacts.store import Store
from cortex.artifacts.trust import Trust
from cortex.domains.endpoint import Endpoint
from cortex.errors import ConfigError
from cortex.models.model_files import ADAPTER
from cortex.section import nearest
from cortex.serving.adapter_base import find_base, read_base_pin
from cortex.serving.local_engines import serve_adapters, serve_here
from cortex.serving.routes_file import RoutedModel, Routes
from cortex.serving.served_model import ServedModel, UpstreamModel
from cortex.serving.served_release import ServedRelease, open_release
from cortex.serving.serving_settings import ServingSettings
from cortex.serving.upstream import upstream_model
from cortex.settings import Settings

FindRelease = Callable[[str, str], Path]
"""Takes a run's id or a folder, and the copy to be served, and returns the folder of the release."""


def open_models(
    routes: Routes,
    find_release: FindRelease,
    store: Store,
    trust: Trust,
    settings: Settings,
    serving: ServingSettings,
    *,
    gpus: int,
) -> list[ServedModel]:
    """The models that this machine serves, in their order. `store` is the bucket, which may hold the base of adapters.

    Raises:
        ConfigError: the machine cannot run one of them, or cannot hold several engines.
        CortexError: as `open_release` and `find_base`.
    """
    here = {name: model for name, model in routes.models.items() if model.release is not None}
    releases = {
        name: open_release(find_release(str(model.release), model.weights), trust, settings, model.weights)
        for name, model in here.items()
    }
    shared = _find_bases(here, releases, store, settings)
    alone = [name for name in here if name not in {member for members in shared.values() for member in members}]
    if gpus and len(alone) + len(shared) > 1:
        raise ConfigError(
            f"models: {', '.join(here)} are releases that need {len(alone) + len(shared)} engines, and an engine takes "
            "all GPUs of a machine: keep those of one engine here, and name the gateways of the others as upstream"
        )
    prices = {name: model.dollars_per_million_tokens for name, model in here.items()}
    found = [serve_here(releases[name], settings, serving, gpus=gpus, name=name, price=prices[name]) for name in alone]
    for base, names in shared.items():
        members = {name: releases[name] for name in names}
        found += serve_adapters(members, base, settings, serving, gpus=gpus, prices=prices)
    found.sort(key=lambda model: list(here).index(model.name))
    check_domains(routes, found)
    return found


def _find_bases(
    models: Mapping[str, RoutedModel], releases: Mapping[str, ServedRelease], store: Store, settings: Settings
) -> dict[Path, list[str]]:
    """The bases of all adapters, each with the names of its models. A base that has two folders is served from the
    first."""
    folders: dict[tuple[str, str | None], Path] = {}
    served: dict[str, Path] = {}
    found: dict[Path, list[str]] = {}
    for name, model in models.items():
        if model.weights != ADAPTER:
            continue
        try:
            pin = read_base_pin(releases[name].folder)
            if (pin.digest, model.base) not in folders:  # hashing a base takes minutes
                folders[pin.digest, model.base] = find_base(pin, model.base, store, settings.home)
        except ConfigError as error:
            raise ConfigError(f"models.{name}: {error}") from error
        base = served.setdefault(pin.digest, folders[pin.digest, model.base])
        found.setdefault(base, []).append(name)
    return found


def open_upstreams(routes: Routes, variables: Mapping[str, str], serving: ServingSettings) -> list[UpstreamModel]:
    """The models of other gateways. `variables` are the environment's.

    Raises:
        ConfigError: the variable of a key is not set.
    """
    return [
        upstream_model(
            name,
            model.upstream,
            model.key(variables, f"models.{name}").get_secret_value(),
            model.model or name,
            serving,
            dollars_per_million_tokens=serving.price_or(model.dollars_per_million_tokens),
        )
        for name, model in routes.models.items()
        if model.upstream is not None
    ]


def check_domains(routes: Routes, models: list[ServedModel]) -> None:
    """Refuse rules of domains that no model was trained on, and models that understand one domain differently.

    Raises:
        ConfigError: the message names the domain and the model.
    """
    endpoints: dict[str, Endpoint] = {}
    for model in models:
        for domain, endpoint in model.release.endpoints.items():
            if endpoints.setdefault(domain, endpoint).request is not endpoint.request:
                raise ConfigError(f"models.{model.name}: takes other requests of {domain} than the models before it")
    here = {model.name: model for model in models}
    for domain, rule in routes.domains.items():
        if domain not in endpoints:
            raise ConfigError(f"domains.{domain}: no model here was trained on it: {nearest(domain, endpoints)}")
        for key, name in rule.names.items():
            if name in here and domain not in here[name].release.endpoints:
                raise ConfigError(f"domains.{domain}.{key}: the model {name!r} was not trained on {domain}")
