"""The server of moto's emulated cloud, which sells no spot machine while a file says so."""

import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

NO_CAPACITY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code>
<Message>There is no Spot capacity available that matches your request.</Message></Error></Errors>
<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def with_droughts(application: Application, closed: Path) -> Application:
    """Wrap the cloud: while the file `closed` exists, requests for spot machines are refused as EC2 refuses them."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST" and closed.exists():
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            asked = parse_qs(body.decode(errors="replace"))
            if asked.get("Action") == ["RunInstances"] and asked.get("InstanceMarketOptions.MarketType") == ["spot"]:
                start_response("500 Internal Server Error", [("Content-Type", "text/xml")])
                return [NO_CAPACITY]
        return application(environ, start_response)

    return answer


def main() -> None:
    """Serve at the given address and port; the third argument is the file."""
    host, port, closed = sys.argv[1:]
    cloud = with_droughts(DomainDispatcherApplication(create_backend_app), Path(closed))
    run_simple(host, int(port), cloud, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
