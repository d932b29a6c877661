"""Chess: moves to imitate from games, judged by the rules, and by an engine where one is installed."""

from cortex.domains.chess.domain import Chess

DOMAIN = Chess
