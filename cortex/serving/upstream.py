"""Other gateways, asked in the same way as engines of this machine."""

from dataclasses import dataclass

from cortex.serving.admission import Admission
from cortex.serving.engine import Body
from cortex.serving.engine_client import EngineClient
from cortex.serving.served_model import UpstreamModel
from cortex.serving.serving_settings import ServingSettings


@dataclass
class Upstream:
    """A gateway of another machine. It is not probed: a request shows that it does not answer."""

    name: str
    url: str
    key: str
    ready: bool = True
    starts: int = 0

    def answered(self) -> None:
        """Take no note."""

    def translate(self, body: Body, /) -> Body:
        """The body as it is."""
        return body


def upstream_model(
    name: str, url: str, key: str, there: str, serving: ServingSettings, *, dollars_per_million_tokens: float
) -> UpstreamModel:
    """The model `there` of the gateway at `url`, under a name of this gateway."""
    admission = Admission(serving.concurrency, serving.queue, serving.queue_seconds)
    client = EngineClient(Upstream(name, url, key), admission, serving.request_seconds)
    return UpstreamModel(name, there, client, dollars_per_million_tokens=dollars_per_million_tokens)
