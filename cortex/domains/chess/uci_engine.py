"""A chess engine, such as Stockfish, as a judge: a program of its own, spoken to by UCI, the same each time.

It searches a fixed number of nodes on one thread, and its memory is cleared before each position.
"""

import re
import shutil
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import TracebackType

from cortex.domains.chess.board import Board
from cortex.errors import ConfigError, DataError

HIGHEST = 1000
"""Centipawns of the highest value: a mate is worth as much, and so is an advantage that nobody loses."""
HASH_MIB = 16
SECONDS = 60.0
"""Longest time for one position; an engine that needs more hangs."""

_INFO = re.compile(r"info .*?\bscore (cp|mate) (-?\d+)(?! (?:upper|lower)bound).*? pv (\S+)")


class Engine:
    """An engine under way; `with Engine(...)` ends it."""

    def __init__(self, program: str, nodes: int) -> None:
        """Start it.

        Raises:
            ConfigError: the program is not installed, or is no engine.
        """
        found = shutil.which(program)
        if found is None:
            raise ConfigError(
                f"domain.engine.program: {program!r} is not installed: install it (Debian: `apt install stockfish`), "
                "or leave `engine` out, so that moves are judged by legality and by the games' own moves"
            )
        self._program, self._nodes = program, nodes
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([found], stdin=pipe, stdout=pipe, text=True, encoding="utf-8")
        self._tell("uci")
        self.name = next((line[8:] for line in self._until("uciok") if line.startswith("id name ")), program)
        self._tell("setoption name Threads value 1", f"setoption name Hash value {HASH_MIB}")
        self._tell("setoption name MultiPV value 256")

    def values(self, board: Board) -> dict[str, int]:
        """The value of each legal move for the side that makes it, in centipawns, within +-`HIGHEST`.

        Raises:
            DataError: the nodes do not suffice to value every move.
        """
        self._tell("ucinewgame", "setoption name Clear Hash", "isready")
        for _ in self._until("readyok"):
            pass
        self._tell(f"position fen {board}", f"go nodes {self._nodes}")
        found: dict[str, int] = {}
        for line in self._until("bestmove"):
            read = _INFO.match(line)
            if read:
                found[read[3]] = _worth(read[1], int(read[2]))
        missing = {str(move) for move in board.moves()} - set(found)
        if missing:
            raise DataError(
                f"domain.engine.nodes: {self._nodes} nodes are too few to value {min(missing)} at {board}: raise them"
            )
        return found

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, *lines: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines))
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._gone() from error

    def _until(self, last: str) -> Iterator[str]:
        """The lines up to the one that begins with `last`, itself included."""
        assert self._process.stdout
        with _limit(self._process):
            for line in self._process.stdout:
                yield line.rstrip("\n")
                if line.startswith(last):
                    return
        raise self._gone()

    def _gone(self) -> ConfigError:
        return ConfigError(
            f"domain.engine.program: {self._program!r} ended, or was silent for {SECONDS:.0f} s: it has to be an "
            "engine that speaks UCI"
        )


@contextmanager
def _limit(process: "subprocess.Popen[str]") -> Generator[None]:
    """Kill a program that takes too long, so that reading from it ends."""
    timer = threading.Timer(SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _worth(unit: str, value: int) -> int:
    if unit == "mate":
        return HIGHEST if value > 0 else -HIGHEST
    return max(-HIGHEST, min(HIGHEST, value))
