from collections.abc import Iterator

import pytest

from .endpoint import Teacher, serving


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with serving(Teacher()) as served:
        yield served
