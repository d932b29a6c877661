"""The supervisor of an engine goes on where a disk is full for a while."""

import os
import sys
from pathlib import Path

import pytest

from cortex.serving.engine import Engine, EngineCommand, free_port
from tests.serving.conftest import until

pytestmark = pytest.mark.integration


def test_an_engine_whose_log_cannot_be_written_is_started_later(tmp_path: Path) -> None:
    log = tmp_path / "later" / "engine.log"
    command = EngineCommand((sys.executable, "-c", "print('began', flush=True)"), dict(os.environ))
    engine = Engine("tiny", command, free_port(), log, busy=lambda: 0)
    engine.start()
    try:
        until(lambda: engine.starts == 1, "a first try")
        assert not engine.ready
        log.parent.mkdir()
        until(lambda: log.exists() and "began" in log.read_text(encoding="utf-8"), "a second one", 30)
    finally:
        engine.stop()
