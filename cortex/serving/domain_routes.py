"""Routes of the domains that the models of a gateway were trained on."""

import asyncio
from collections import Counter
from itertools import starmap
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field, create_model

from cortex.domains.endpoint import Endpoint
from cortex.section import Items, Section
from cortex.serving.answers import Answered
from cortex.serving.callers import DomainCaller
from cortex.serving.refusals import Refusal, error_body
from cortex.serving.routing import Routing
from cortex.serving.service import Service, service_of

AT_ONCE = 8
"""Requests of one batch that are asked at the same time."""

ModelName = Annotated[
    str | None, Query(max_length=200, description="The model that is to answer, by its name in `/v1/models`.")
]

WithView = Annotated[
    bool, Query(description="Add `view`: the answer in words, a chart, and how such answers fared out of sample.")
]


def domain_router(service: Service) -> APIRouter:
    """The routes of all models' domains: `/v1/<domain>`, `/v1/<domain>/batch`, and `/v1/forecast` for a market."""
    router = APIRouter(prefix="/v1", tags=["domains"])
    endpoints: dict[str, Endpoint] = {}
    for model in service.models.values():
        endpoints = {**model.release.endpoints, **endpoints}
    aliases = Counter(endpoint.alias for endpoint in endpoints.values())
    for name, endpoint in endpoints.items():
        _add(router, name, name, endpoint, service.settings.batch)
        if endpoint.alias and aliases[endpoint.alias] == 1 and endpoint.alias not in endpoints:
            _add(router, endpoint.alias, name, endpoint, service.settings.batch)
    return router


def _add(router: APIRouter, path: str, name: str, endpoint: Endpoint, most: int) -> None:
    several: Any = (Items[endpoint.request], Field(min_length=1, max_length=most))
    batch_type: Any = create_model(f"{endpoint.request.__name__}Batch", __base__=Section, requests=several)

    async def one(
        request: Request, body: Section, caller: DomainCaller, model: ModelName = None, view: WithView = False
    ) -> Answered:
        return await Routing(service_of(request), request, caller, name, body, view).answer(model)

    async def batch(
        request: Request, body: Any, caller: DomainCaller, model: ModelName = None
    ) -> list[Answered | dict[str, Any]]:
        service, turns = service_of(request), asyncio.Semaphore(AT_ONCE)
        service.model_for(name, model)

        async def answer(place: int, item: Section) -> Answered | dict[str, Any]:
            async with turns:
                try:
                    return await Routing(service, request, caller, name, item, place=place).answer(model)
                except Refusal as refusal:
                    return error_body(refusal.status, refusal.message)

        return await asyncio.gather(*starmap(answer, enumerate(body.requests)))

    # FastAPI reads the bodies' types from here, and each domain has its own.
    one.__annotations__["body"], batch.__annotations__["body"] = endpoint.request, batch_type
    summary = f"Answers of the domain {name}"
    router.add_api_route(f"/{path}", one, methods=["POST"], summary=summary, name=f"{path}")
    router.add_api_route(
        f"/{path}/batch", batch, methods=["POST"], summary=f"{summary}, several at once", name=f"{path} in batches"
    )
