"""A second server of one service is refused, before it touches what the first one works with."""

from pathlib import Path

import pytest

from cortex.errors import RefusedError
from cortex.training_api.sole_server import sole_server


def test_a_second_server_of_a_service_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    folder = tmp_path / "tinker" / "mine"
    with (
        sole_server(folder),
        pytest.raises(RefusedError, match="another server of service mine"),
        sole_server(folder),
    ):
        pass
    with sole_server(folder), sole_server(folder.with_name("other")):
        assert not folder.exists()
