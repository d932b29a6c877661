"""Health check: asks the model for one token, since vLLM's own /health answers 200 even where every request fails."""

import json
import os
import sys
import urllib.request
from typing import Any

SERVER = os.environ.get("CORTEX_SERVER", "http://127.0.0.1:8000")
KEY = os.environ.get("VLLM_API_KEY")
SECONDS = 50
"""The image's health check gives up after a minute."""


def ask(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The server's answer as JSON, to a GET, or to a POST of `body`."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {KEY}"} if KEY else {})}
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(SERVER + path, data, headers), timeout=SECONDS) as answer:
        return json.load(answer)


def main() -> None:
    try:
        model = ask("/v1/models")["data"][0]["id"]
        written = ask("/v1/completions", {"model": model, "prompt": "1", "max_tokens": 1})["usage"]["completion_tokens"]
    except (OSError, ValueError, LookupError) as error:
        sys.exit(f"{SERVER} is not ready: {error}")
    if written < 1:
        sys.exit(f"{SERVER} is not ready: {model} wrote nothing")


if __name__ == "__main__":
    main()
