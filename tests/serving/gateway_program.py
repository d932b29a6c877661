"""A gateway in front of the tests' engine: `python -m tests.serving.gateway_program PORT FOLDER [--bucket BUCKET]`.

Each `--also NAME` adds a model of this name, whose engine has the folder FOLDER/NAME. With `--long` the market has a
test that is long enough to judge by: the first model has shown no skill, the others have. `--plain` adds a domain of
questions in plain text to the first. With `--weights NAME` the real engine serves the weights of FOLDER/NAME. `--routes
FILE` has the rules and the upstreams of a routes file; its releases are those of the program.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import describe_splits
from cortex.domains.endpoint import Endpoint
from cortex.domains.label_finding import Finding
from cortex.domains.markets.domain import Markets
from cortex.domains.question import Question
from cortex.profiles.profile_file import load_profile
from cortex.serving.engine import EngineCommand, free_port
from cortex.serving.feedback.feedback_keeper import open_keeper
from cortex.serving.gateway_server import make_service, serve
from cortex.serving.local_engines import serve_here, supervise
from cortex.serving.routed_models import check_domains, open_upstreams
from cortex.serving.routes_file import read_routes
from cortex.serving.served_model import ServedModel
from cortex.serving.served_release import ServedRelease
from cortex.serving.serving_settings import ServingSettings
from cortex.settings import CHECKOUT, Settings
from tests.serving.judged_market import judge

DOMAIN = {"source": {"kind": "simulator", "chains": 2, "days": 200}, "style": "compact"}
LONG = {"source": {"kind": "simulator", "chains": 3, "days": 420}}


class Riddles(Endpoint):
    """A domain of questions in plain text, to which any reply is an answer."""

    def finding(self, question: Question, reply: str) -> Finding:
        return Finding("accepted")


def release(feature: str = "mom7", weight: float = 0.03, *, long: bool = False, plain: bool = False) -> ServedRelease:
    """A release of a market, without weights: the engine of these tests needs none.

    `feature` is the one that its model goes by. With `long`, its test is long enough to judge by. With `plain`, it has
    a domain of questions in plain text, too.
    """
    domain = Markets.model_validate({"kind": "markets", **DOMAIN, **(LONG if long else {})})
    built = domain.build(0, Settings())
    described = {**built.description(), "splits": describe_splits(built.examples.lazy(), domain)}
    endpoints = {"markets": domain.endpoint(described, 0, Settings())}
    if plain:
        endpoints["riddles"] = Riddles(domain)
    return ServedRelease(
        folder=Path("nowhere"),
        copy="model",
        manifest="0" * 64,
        signer="unsigned",
        profile=load_profile("rehearsal").model_copy(update={"domain": domain}),
        endpoints=endpoints,
        judged=dict.fromkeys(endpoints, judge(domain, built.examples, feature, weight)),
    )


def model(name: str, made: ServedRelease, folder: Path, serving: ServingSettings) -> ServedModel:
    """A release under a name of its own."""
    folder.mkdir(exist_ok=True)
    inner = free_port()
    words = (sys.executable, "-m", "tests.serving.engine_program", str(inner), str(folder))
    command = EngineCommand(words, {"PYTHONPATH": str(CHECKOUT)})
    client = supervise(name, command, inner, folder / "engine.log", serving)
    return ServedModel(name, made, client, dollars_per_million_tokens=serving.price_or(None))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bucket")
    parser.add_argument("--feedback", help="The bucket that feedback is brought to.")
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--weights")
    parser.add_argument("--routes", type=Path)
    args = parser.parse_args()
    serving = ServingSettings()
    first = release(long=args.long, plain=args.plain)
    if args.weights:
        served = replace(first, folder=args.folder, copy=args.weights)
        models = [serve_here(served, Settings(), serving, gpus=0)]
    else:
        models = [model(first.name, first, args.folder, serving)]
    models += [model(name, release("flow", -0.12, long=args.long), args.folder / name, serving) for name in args.also]
    keys = open_store(args.bucket) if args.bucket else None
    routes = read_routes(args.routes) if args.routes else None
    if routes:
        check_domains(routes, models)
    upstreams = open_upstreams(routes, os.environ, serving) if routes else []
    feedback = open_keeper(args.folder / "home", open_store(args.feedback) if args.feedback else None, serving)
    service = make_service(models, keys, serving, upstreams, routes.domains if routes else None, feedback)
    serve(service, host="127.0.0.1", port=args.port)


if __name__ == "__main__":
    main()
