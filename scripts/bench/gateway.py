"""The time that the gateway adds to an engine's streams: `python -m scripts.bench.gateway RELEASE [--concurrency 8]`.

The engine serves the release on this machine. A program of its own sends the same requests to it directly and through
the gateway, in turns; printed are the medians of each, and the differences, with the range of the rounds. No answer
ends before `--tokens`: the end token is never drawn. The engine has the first half of the machine's cores, the gateway
and the program that asks the other, so that they do not slow down the engine by taking its cores.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import uvicorn

from cortex.artifacts.trust import Trust
from cortex.serving.engine import Engine, free_port
from cortex.serving.gateway import create_app
from cortex.serving.gateway_server import make_service
from cortex.serving.local_engines import serve_here
from cortex.serving.served_release import open_release
from cortex.serving.serving_settings import ServingSettings
from cortex.settings import Settings

CLIENT = "CORTEX_BENCH_CLIENT"
"""Set for the program that asks: its task in JSON."""


async def stream(client: aiohttp.ClientSession, body: dict[str, object]) -> tuple[float, float]:
    """Seconds to the first byte and to the last."""
    begun, first = time.perf_counter(), 0.0
    async with client.post("/v1/chat/completions", json=body) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {await answer.text()}")
        async for _ in answer.content.iter_any():
            first = first or time.perf_counter() - begun
    return first, time.perf_counter() - begun


async def ask(task: dict[str, object], base: str, key: str) -> list[tuple[float, float]]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    turns, count = int(str(task["concurrency"])), int(str(task["requests"]))
    body = {
        "model": task["model"],
        "messages": [{"role": "user", "content": task["prompt"]}],
        "stream": True,
        "max_tokens": task["tokens"],
        "temperature": 0,
        "logit_bias": {str(token): -100 for token in task["ends"]},  # type: ignore[attr-defined]
    }
    async with aiohttp.ClientSession(base, headers=headers) as client:
        gate = asyncio.Semaphore(turns)

        async def one() -> tuple[float, float]:
            async with gate:
                return await stream(client, body)

        return await asyncio.gather(*(one() for _ in range(count)))


def run_client(task: dict[str, object]) -> None:
    rounds: list[dict[str, list[float]]] = []
    for number in range(int(str(task["rounds"])) + 1):
        found: dict[str, list[float]] = {}
        for name in ("direct", "gateway") if number % 2 else ("gateway", "direct"):
            address, key = task[name]  # type: ignore[misc]
            times = asyncio.run(ask(task, address, key))
            found[name] = [statistics.median(part) for part in zip(*times, strict=True)]
        if number:  # the first round warms up
            rounds.append(found)
    print(json.dumps(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=88)
    parser.add_argument("--prompt", default="NEAR 1d mom7:+1 mom30:0 vol:-1 draw:0 range:4")
    args = parser.parse_args()
    release = open_release(args.release, Trust(), Settings())
    model = serve_here(release, Settings(), ServingSettings(), gpus=0)
    service = make_service([model], None, ServingSettings())
    engine, port = model.client.engine, free_port()
    assert isinstance(engine, Engine)
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=port, log_config=None, access_log=False))
    apart(engine.start)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        while not engine.ready:
            time.sleep(0.5)
        task = {
            **{name: getattr(args, name) for name in ("concurrency", "requests", "rounds", "tokens", "prompt")},
            "model": model.name,
            "ends": end_tokens(release.weights),
            "direct": (engine.url, engine.key),
            "gateway": (f"http://127.0.0.1:{port}", ""),
        }
        begun = time.process_time()
        words = [sys.executable, "-m", "scripts.bench.gateway"]
        done = subprocess.run(
            words,
            env={**os.environ, CLIENT: json.dumps(task)},
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            check=True,
        )
        spent = time.process_time() - begun
    finally:
        engine.stop()
    report(json.loads(done.stdout))
    streams = args.requests * (args.rounds + 1)
    print(f"the gateway's own work: {1000 * spent / streams:.2f} ms of a core for a stream of {args.tokens} tokens")


def apart(start: Callable[[], None]) -> None:
    """Start an engine on the first half of the cores, and leave the others to this program."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if half:
        os.sched_setaffinity(0, cores[:half])
        start()
        os.sched_setaffinity(0, cores[half:])
    else:
        start()


def end_tokens(weights: Path) -> list[int]:
    found = json.loads((weights / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"]
    return found if isinstance(found, list) else [found]


def report(rounds: list[dict[str, list[float]]]) -> None:
    for place, what in enumerate(("first byte", "whole stream")):
        direct, through = ([found[name][place] for found in rounds] for name in ("direct", "gateway"))
        added = [1000 * (after - before) for before, after in zip(direct, through, strict=True)]
        ratios = [after / before for before, after in zip(direct, through, strict=True)]
        print(
            f"{what}: direct {1000 * statistics.median(direct):.1f} ms, through the gateway "
            f"{1000 * statistics.median(through):.1f} ms; added {statistics.median(added):.1f} ms "
            f"({min(added):.1f} to {max(added):.1f}), {statistics.median(ratios):.3f} times "
            f"({min(ratios):.3f} to {max(ratios):.3f}), {len(rounds)} rounds"
        )


if __name__ == "__main__":
    run_client(json.loads(os.environ[CLIENT])) if CLIENT in os.environ else main()
