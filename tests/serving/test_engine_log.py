"""Logs of engines do not fill the disk, and do not mix."""

import os
from pathlib import Path

from cortex.serving.engine_log import KEPT, LOG_BYTES, hold, last_error, log_file, trim
from cortex.settings import Settings


def test_a_log_is_cut_to_its_last_part_while_a_program_appends(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    lines = [f"{number} ".ljust(99, "x") + "\n" for number in range(LOG_BYTES // 100 + 2)]
    with log.open("a", encoding="utf-8") as program:
        program.writelines(lines)
        program.flush()
        trim(log)
        program.write("KeyError: the end\n")
    kept = log.read_text(encoding="utf-8").splitlines(keepends=True)
    assert kept[:-1] == lines[-len(kept) + 1 :] and 0.4 * LOG_BYTES < log.stat().st_size < 0.6 * LOG_BYTES
    assert last_error(log) == "KeyError: the end"


def test_a_short_log_is_left_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("began\n")
    trim(log)
    assert log.read_text() == "began\n" and last_error(log) == "began"


def test_each_gateway_has_a_log_of_its_own_and_old_ones_go(tmp_path: Path) -> None:
    """A log that is in use stays, however old."""
    settings = Settings(home=tmp_path)
    used = log_file(settings, "tiny", 1)
    with used.open("a") as program:
        hold(program.fileno())
        os.utime(used, (0, 0))
        for port in range(2, 12):
            assert log_file(settings, "tiny", port) != used
            log_file(settings, "tiny", port).touch()
            os.utime(log_file(settings, "tiny", port), (port, port))
        left = {path.name for path in (tmp_path / "serving").iterdir()}
    newest = {f"engine-tiny-{port}.log" for port in range(11, 11 - KEPT, -1)}
    assert left == {used.name, *newest}
    log_file(settings, "tiny", 12)
    assert not used.exists(), "nobody holds it any more"
