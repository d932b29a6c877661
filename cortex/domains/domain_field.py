"""Reading of a section within another that describes a domain, whose errors name the key inside it."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from cortex.domains.domain import Domain


class NestedError(ValueError):
    """A value within a domain's section is wrong."""

    def __init__(self, error: ValidationError) -> None:
        self.problem = error.errors()[0]
        super().__init__(self.problem["msg"].removeprefix("Value error, "))


def read_field(value: object, read: Callable[[Mapping[str, Any]], Domain]) -> object:
    """The domain of a field's value, by `read`; anything but a mapping is returned unchanged.

    Raises:
        NestedError: a value within is wrong.
    """
    if not isinstance(value, dict):
        return value
    try:
        return read(cast(dict[str, Any], value))
    except ValidationError as error:
        raise NestedError(error) from error
