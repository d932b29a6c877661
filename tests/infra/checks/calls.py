"""Objects of a run, and calls that must fail."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

RUN = "runs/r1"
CHECKPOINT = f"{RUN}/sft/checkpoints/40/model.safetensors"
RELEASE = f"{RUN}/release/model.safetensors"

REFUSALS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")


def refused(call: Callable[[], Any]) -> None:
    """Fail unless AWS answers that the caller may not."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in REFUSALS, error
    else:
        pytest.fail("a call was allowed that must not be")
