"""Rules by which a gateway with several models chooses the one that answers a domain's request."""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cortex.section import Section

ModelKey = Annotated[str, Field(min_length=1, max_length=200)]
"""The name of a model of the routes file."""


class Share(Section):
    """A share of the requests to each model, so that their answers can be compared."""

    models: dict[ModelKey, Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)
    """Each model's share of the callers or of the requests; together they make 1."""
    by: Literal["key", "request"] = "key"
    """`key`: a caller always has the same model. `request`: each request is drawn by its id, a batch as one."""
    keys: dict[str, ModelKey] = Field(default_factory=dict[str, ModelKey])
    """API keys, by id, whose holders always have this model."""

    @model_validator(mode="after")
    def _make_one(self) -> Self:
        total = sum(self.models.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of models add up to {total:g}: make them add up to 1")
        return self

    def choose(self, domain: str, caller: str, request_id: str) -> str:
        """The model for a request: the same for equal callers, or equal ids, in any process."""
        if caller in self.keys:
            return self.keys[caller]
        drawn_by = caller if self.by == "key" else request_id
        place = int.from_bytes(hashlib.sha256(f"{domain}/{drawn_by}".encode()).digest()[:8]) / 2**64
        drawn = [name for name, share in self.models.items() if share]
        for name in drawn:
            place -= self.models[name]
            if place < 0:
                return name
        return drawn[-1]


class Escalate(Section):
    """A small model answers, and a large one where the small one is uncertain or its answer is held back."""

    first: ModelKey
    """The small model, which every request goes to."""
    then: ModelKey
    """The large model."""
    above: float = Field(ge=0, le=1)
    """Uncertainty of the small model's answer above which the large one is asked; `cortex route judge` finds it."""
    held_back: bool = True
    """Ask the large model, too, where a gate holds the small one's answer back."""

    def reason(self, uncertainty: float | None, *, held_back: bool) -> str | None:
        """The reason to ask the large model, None where the small one's answer stands."""
        if held_back:
            return f"the answer of {self.first} is held back" if self.held_back else None
        if uncertainty is not None and uncertainty > self.above:
            return f"the uncertainty of {self.first} is {uncertainty:.3f}, above {self.above:g}"
        return None


class Rule(Section):
    """The rule of one domain: one of its keys."""

    fixed: ModelKey | None = None
    """This model answers all requests."""
    share: Share | None = None
    """Models answer a share of the requests each."""
    escalate: Escalate | None = None
    """A small model answers, and a large one where that is not enough."""

    @model_validator(mode="after")
    def _be_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a rule is one of fixed, share and escalate: {len(given)} are given")
        return self

    @property
    def names(self) -> dict[str, str]:
        """The models that the rule names, by the key under which it does."""
        if self.fixed is not None:
            return {"fixed": self.fixed}
        if self.share is not None:
            keys = {f"share.keys.{key}": name for key, name in self.share.keys.items()}
            return {f"share.models.{name}": name for name in self.share.models} | keys
        assert self.escalate is not None
        return {"escalate.first": self.escalate.first, "escalate.then": self.escalate.then}
