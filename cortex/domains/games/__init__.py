"""Games, which one model plays against itself in training, and against scripted players when it is judged."""

from cortex.domains.games.domain import Games

DOMAIN = Games
