"""The models of a routes file, each opened and given its engine or its upstream."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cortex.artifacts.trust import Trust
from cortex.domains.domain import Endpoint
from cortex.errors import ConfigError
from cortex.section import nearest
from cortex.serving.local_engines import serve_here
from cortex.serving.routes_file import Routes
from cortex.serving.served_model import ServedModel, UpstreamModel
from cortex.serving.served_release import open_release
from cortex.serving.serving_settings import ServingSettings
from cortex.serving.upstream import upstream_model
from cortex.settings import Settings

FindRelease = Callable[[str, str], Path]
"""Takes a run's id or a folder, and the copy to be served, and returns the folder of the release."""


def open_models(
    routes: Routes,
    find_release: FindRelease,
    trust: Trust,
    settings: Settings,
    serving: ServingSettings,
    *,
    gpus: int,
) -> list[ServedModel]:
    """The models that this machine serves, in their order.

    Raises:
        ConfigError: the machine cannot run one of them, or cannot hold several.
        CortexError: as `open_release`.
    """
    here = {name: model for name, model in routes.models.items() if model.release is not None}
    if gpus and len(here) > 1:
        raise ConfigError(
            f"models: {', '.join(here)} are releases, and an engine takes all GPUs of a machine: keep one here, and "
            "name the gateways of the others as upstream"
        )
    found: list[ServedModel] = []
    for name, model in here.items():
        release = open_release(find_release(str(model.release), model.weights), trust, settings, model.weights)
        found.append(
            serve_here(release, settings, serving, gpus=gpus, name=name, price=model.dollars_per_million_tokens)
        )
    check_domains(routes, found)
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
