"""Places that roads join: maps, and shortest ways."""

from collections import deque
from collections.abc import Collection, Sequence
from functools import lru_cache

PLACES = "abcdefghijklmnopqrstuvwxyz"

Roads = tuple[str, ...]
"""Each road by the letters of its two ends, such as `ab`."""


def ring(count: int) -> Roads:
    """A ring of places, in the order of the alphabet."""
    return tuple(PLACES[at] + PLACES[(at + 1) % count] for at in range(count))


def grid(width: int, height: int) -> Roads:
    """A grid of places, row by row."""
    across = [PLACES[at : at + 2] for at in range(width * height) if (at + 1) % width]
    down = [PLACES[at] + PLACES[at + width] for at in range(width * (height - 1))]
    return (*across, *down)


def check_roads(roads: Sequence[str]) -> None:
    """Raise ValueError, with the road, where one is not two different small letters, or is there twice."""
    seen: set[frozenset[str]] = set()
    for road in roads:
        if len(road) != 2 or road[0] == road[1] or not set(road) <= set(PLACES):
            raise ValueError(f"road {road!r} is not two different letters from a to z, such as 'ab'")
        if frozenset(road) in seen:
            raise ValueError(f"road {road!r} is there twice: roads lead both ways")
        seen.add(frozenset(road))


@lru_cache(maxsize=4096)
def neighbours(roads: Roads) -> dict[str, tuple[str, ...]]:
    """The places next to each place, in the order of the alphabet."""
    found: dict[str, set[str]] = {}
    for one, other in roads:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {place: tuple(sorted(near)) for place, near in sorted(found.items())}


def shortest_way(roads: Roads, start: str, goal: str, closed: Collection[str] = ()) -> tuple[str, ...] | None:
    """The places on a shortest way, without its start; None where no way leads there that avoids `closed` places.

    Of several it is the first in the alphabet.
    """
    near, came_from, queue = neighbours(roads), {start: start}, deque([start])
    while queue:
        place = queue.popleft()
        if place == goal:
            way: list[str] = []
            while place != start:
                way.append(place)
                place = came_from[place]
            return tuple(reversed(way))
        for further in near.get(place, ()):
            if further not in came_from and further not in closed:
                came_from[further] = place
                queue.append(further)
    return None
