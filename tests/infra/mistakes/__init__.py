"""Mistakes that a person could make in the program, each with the check that must catch it."""

from tests.infra.mistakes import access, estate, google, network, server, storage
from tests.infra.mistakes.mistake import Mistake

__all__ = ["MISTAKES", "Mistake"]

MISTAKES = (
    *storage.MISTAKES,
    *access.MISTAKES,
    *network.MISTAKES,
    *server.MISTAKES,
    *google.MISTAKES,
    *estate.MISTAKES,
)
