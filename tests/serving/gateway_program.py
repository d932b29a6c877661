"""A gateway in front of the tests' engine: `python -m tests.serving.gateway_program PORT FOLDER [BUCKET]`."""

import sys
from pathlib import Path

from cortex.artifacts.open_store import open_store
from cortex.domains.markets.domain import Markets
from cortex.evaluation.record import Verdict
from cortex.profiles.profile_file import load_profile
from cortex.serving.engine import free_port
from cortex.serving.engine_command import EngineCommand
from cortex.serving.gateway_server import serve, supervise
from cortex.serving.served_release import ServedRelease
from cortex.serving.serving_settings import ServingSettings
from cortex.settings import CHECKOUT, Settings

DOMAIN = {"source": {"kind": "simulator", "chains": 2, "days": 200}, "style": "compact"}


def release() -> ServedRelease:
    """A release of a market, without weights: the engine of these tests needs none."""
    domain = Markets.model_validate({"kind": "markets", **DOMAIN})
    described = domain.build(0, Settings()).description()
    verdict = Verdict(model="grpo", skill_shown=False, reason="too few examples", comparison="none")
    return ServedRelease(
        folder=Path("nowhere"),
        copy="model",
        manifest="0" * 64,
        signer="unsigned",
        profile=load_profile("rehearsal").model_copy(update={"domain": domain}),
        endpoints={"markets": domain.endpoint(described, 0, Settings())},
        verdicts={"markets": verdict},
    )


def main() -> None:
    port, folder, bucket = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    inner = free_port()
    words = (sys.executable, "-m", "tests.serving.engine_program", str(inner), str(folder))
    command = EngineCommand(words, {"PYTHONPATH": str(CHECKOUT)})
    keys = open_store(bucket[0]) if bucket else None
    serve(
        supervise(release(), command, inner, folder / "engine.log", keys, ServingSettings()),
        host="127.0.0.1",
        port=port,
    )


if __name__ == "__main__":
    main()
