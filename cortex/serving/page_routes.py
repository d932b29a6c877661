"""The web page at `/`, and the description of the domains that it asks. The page itself holds no data."""

import asyncio
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from cortex.domains.view import FormField
from cortex.serving.callers import DomainCaller
from cortex.serving.refusals import Refusal
from cortex.serving.service import service_of

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Of every file of the page: it runs its own script alone, asks this gateway alone, and nobody frames it."""

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

router = APIRouter()


class Offer(BaseModel):
    """A domain as one model answers it, or the one that the domain's rule chooses."""

    domain: str
    alias: str | None
    """A second path of the domain, below `/v1/`."""
    path: str
    model: str | None
    """Null where the domain's rule chooses the model."""
    fields: tuple[FormField, ...]
    """Fields of a request, for people to fill in."""


@router.get("/v1/domains", tags=["domains"])
async def domains(request: Request, _: DomainCaller) -> list[Offer]:
    """The domains that are served, and the fields of their requests."""
    service = service_of(request)
    offers: list[Offer] = []
    for model in service.models.values():
        for name, endpoint in model.release.endpoints.items():
            fields = await asyncio.to_thread(endpoint.form)
            offer = Offer(domain=name, alias=endpoint.alias, path=f"/v1/{name}", model=model.name, fields=fields)
            if name in service.rules and all(other.domain != name for other in offers):
                offers.append(offer.model_copy(update={"model": None}))
            offers.append(offer)
    return offers


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """The page for people."""
    return _file("index.html")


@router.get("/page/{name}", include_in_schema=False)
async def part(name: str) -> Response:
    """A file of the page."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in _FILES:
        raise Refusal(404, "the page has no such file")
    return Response(_FILES[name], media_type=_TYPES[name.rpartition(".")[2]], headers=HEADERS)


def _read_files() -> dict[str, bytes]:
    own = {file.name: file.read_bytes() for file in files("cortex.serving").joinpath("page").iterdir()}
    # The page looks as a release's report does.
    return own | {"report.css": files("cortex.evaluation").joinpath("page.css").read_bytes()}


_FILES = _read_files()
