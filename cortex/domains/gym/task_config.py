"""The tasks of a profile: their weights, their generators' keys, and their levels."""

from typing import Literal

from pydantic import Field, JsonValue, field_validator

from cortex.section import Items, Section

Style = Literal["full", "compact"]


class Task(Section):
    """One task of reasoning-gym."""

    weight: float = Field(default=1.0, ge=0)
    """Share of the examples, beside the other tasks' weights."""

    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of the task's own generator, such as `max_digits`. They replace what a level sets."""

    levels: Items[int] | None = None
    """Levels of the task's own curriculum, from 0, the easiest. The examples take them in turns. None: the generator's
    defaults, with `config`."""

    test_levels: Items[int] | None = None
    """Levels of the validation and test questions, for example harder ones than those trained on. None: `levels`."""

    @field_validator("levels", "test_levels")
    @classmethod
    def _from_zero(cls, levels: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if levels is not None and (not levels or min(levels) < 0):
            raise ValueError(f"levels are {list(levels)}: give at least one, and none below 0")
        return levels

    @field_validator("config")
    @classmethod
    def _leave_draws_alone(cls, config: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for key in ("seed", "size"):
            if key in config:
                raise ValueError(f"{key!r} comes from the profile's seed and the counts of examples: remove it")
        return config

    def levels_of(self, split: str) -> tuple[int | None, ...]:
        """The levels that the questions of a split take in turns; None stands for no level."""
        return (self.levels if split == "train" else self.test_levels or self.levels) or (None,)
