"""A profile for people and their editors: each value with its origin, and the JSON schema of profile files."""

import json
from collections.abc import Iterator
from typing import Any, cast

import yaml
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from cortex.domains.mixture import Mixture
from cortex.domains.registry import find_domain, known_domains
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import DOMAINS, EXPECT, EXPECTATIONS, EXTENDS, Draft, Key

DEFAULT = "default"

COLUMN = 60
"""The last column at which comments may begin; a longer line moves only its own comment."""


def annotate_profile(draft: Draft, profile: Profile) -> str:
    """A profile as YAML, with each value's origin as a comment: a file, an option, or `default`.

    `load_profile` reads it as the same profile.
    """
    lines = list(_lines(draft, profile.model_dump(mode="json"), ()))
    width = max(len(line) for line, _ in lines if len(line) <= COLUMN)
    return "".join(f"{line:<{width}}  # {origin}\n" if origin else f"{line}\n" for line, origin in lines)


def value_origins(draft: Draft, profile: Profile) -> dict[str, str]:
    """The origin of each value of a profile, by dotted key."""
    return {".".join(key): draft.origin(key) or DEFAULT for key, _ in _values(profile.model_dump(mode="json"), ())}


def profile_schema() -> dict[str, Any]:
    """The JSON schema of a profile file. A file that extends another requires no key but its name."""
    domains = [find_domain(kind) for kind in known_domains()]
    places, schemas = models_json_schema([(model, "validation") for model in (Profile, Mixture, *domains)])
    schema = schemas["$defs"].pop("Profile") | {"$defs": schemas["$defs"]}
    one_domain = {"anyOf": [places[domain, "validation"] for domain in domains]}
    schema["properties"]["domain"] = one_domain
    schema["$defs"]["Part"]["properties"]["domain"] = one_domain
    schema["properties"][DOMAINS] = schema["$defs"].pop("Mixture")["properties"][DOMAINS]
    required = [name for name in schema.pop("required") if name != "domain"]
    for section in schema["$defs"].values():
        section.pop("required", None)
    schema["properties"][EXTENDS] = {
        "type": "string",
        "description": "The profile that this one changes: a name in jobs/profiles/, or a path from this file on.",
    }
    schema["properties"][EXPECT] = {
        "enum": list(EXPECTATIONS),
        "description": "The baselines that a rehearsal's model is expected to beat, for `make rehearse-all`: all of "
        "them, which is the default, the reference of its skill alone, or none. It changes nothing about a run.",
    }
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "if": {"required": [EXTENDS]},
        "then": {"required": ["name"]},
        "else": {"required": required, "oneOf": [{"required": ["domain"]}, {"required": [DOMAINS]}]},
    }


def _lines(draft: Draft, values: dict[str, Any], above: Key) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        key = (*above, name)
        if isinstance(value, dict) and value:
            yield f"{'  ' * len(above)}{name}:", ""
            yield from _lines(draft, cast(dict[str, Any], value), key)
        else:
            yield f"{'  ' * len(above)}{name}: {_format_value(value)}", draft.origin(key) or DEFAULT


def _values(values: dict[str, Any], above: Key) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _values(cast(dict[str, Any], value), (*above, name))
        else:
            yield (*above, name), value


def _format_value(value: Any) -> str:
    # JSON is YAML on one line, and quotes what YAML would read as something else.
    return (
        json.dumps(value)
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=10**6).splitlines()[0]
    )
