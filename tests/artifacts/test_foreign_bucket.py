"""Buckets that are not ours, or do not exist, as the verbs that read a run report them."""

from collections.abc import Callable

import pytest

from tests.artifacts.faulty import Fault, Proxy
from tests.conftest import Cortex

pytestmark = pytest.mark.integration

RUN = "run-1"


def forbidden(proxy: Proxy) -> None:
    proxy.plan = lambda _: Fault("status", status=403, code="AccessDenied")


def missing(proxy: Proxy) -> None:
    proxy.plan = lambda _: Fault("status", status=404, code="NoSuchBucket")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(forbidden, "another account's"), (missing, "there is no such bucket; name yours with CORTEX_BUCKET")],
)
@pytest.mark.parametrize("words", [("status", RUN), ("runs",), ("cost", RUN), ("logs", RUN)])
def test_a_bucket_that_is_not_ours_is_one_sentence_and_a_fix(
    words: tuple[str, ...], trouble: Callable[[Proxy], None], said: str, proxy: Proxy, cortex: Cortex
) -> None:
    trouble(proxy)
    done = cortex(*words, CORTEX_BUCKET="s3://bucket/kit")
    assert done.returncode == 65
    assert said in done.stderr and "CORTEX_BUCKET" in done.stderr
    assert done.stderr.count("\n") <= 3 and "Traceback" not in done.stderr
