"""Rollouts of several turns for GRPO: matches whose every seat the model plays, through TRL's `rollout_func`.

All games of a batch go on together, a turn at a time. Each row is one seat's side of a game: the tokens of its own
replies train, and what it was told between them is context. What a side is told is appended to the tokens that were
sampled, never rendered anew with them, so that training sees exactly what sampling saw.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import fmean
from typing import Any

from accelerate.utils import gather_object

from cortex.domains.domain import Domain
from cortex.domains.episode import transcript
from cortex.domains.match import Match
from cortex.domains.question import Example, Message
from cortex.domains.solo_match import SoloMatch
from cortex.trainers.grpo_trainer import KitGRPOTrainer
from cortex.trainers.judged_validation import Answer, example_of
from cortex.trainers.turn_tokens import TurnTokens


@dataclass
class Side:
    """The tokens of one seat: P of its question, and T of all that follows."""

    turns: list[Message] = field(default_factory=list[Message])
    """All turns that follow the question, as texts."""
    prompt: list[int] = field(default_factory=list[int])
    after: list[int] = field(default_factory=list[int])
    own: list[int] = field(default_factory=list[int])
    """1 for each token that the model sampled, 0 for those that it was told (T)."""
    logprobs: list[float] = field(default_factory=list[float])
    """Log-probabilities of the sampled tokens, as the engine reports them, 0 elsewhere (T)."""

    def append(self, tokens: Sequence[int], logprobs: Sequence[float] | None, *, own: bool) -> None:
        """Add tokens that were sampled (`own`) or told."""
        self.after += tokens
        self.own += [int(own)] * len(tokens)
        self.logprobs += [0.0] * len(tokens) if logprobs is None else logprobs


class Play:
    """One match with the tokens of its sides."""

    def __init__(self, example: Example, match: Match) -> None:
        self.example, self._match = example, match
        self.sides = [Side() for _ in range(match.seats)]
        self._mover = 0

    def next_prompt(self, tokens: TurnTokens) -> list[int] | None:
        """All tokens that the next reply follows; None at the end. A side without room for a reply resigns."""
        while asked := self._match.to_move():
            self._mover, told = asked
            side = self.sides[self._mover]
            if not side.prompt:
                side.prompt = tokens.question(told)
                return side.prompt
            following = tokens.following(told, ended=tokens.ends(side.after))
            if tokens.fits(side.prompt, [*side.after, *following]):
                side.turns += told
                side.append(following, None, own=False)
                return side.prompt + side.after
            self._match.resign()
        return None

    def take(self, made: Sequence[int], logprobs: Sequence[float] | None, tokens: TurnTokens) -> None:
        """Take the sampled tokens of the side to move."""
        side = self.sides[self._mover]
        room = tokens.room(side.after)
        side.append(made[:room], None if logprobs is None else logprobs[:room], own=True)
        text = tokens.text(made[:room])
        side.turns.append(Message("assistant", text))
        self._match.move(text)

    def answers(self, domain: Domain) -> list[Answer]:
        """Each seat's turns with their grade and reward."""
        return [
            Answer(
                self.example.text,
                transcript(side.turns) if side.turns else "",
                self.example.truth,
                graded,
                domain.reward(graded),
            )
            for side, graded in zip(self.sides, self._match.grades(), strict=True)
        ]


class EpisodeRollouts:
    """TRL's `rollout_func`: plays the trainer's current rows to their ends, and returns a row for each of them.

    Rows of one example in succession share its matches, a row for each seat. In a validation the model plays alone,
    in the episodes by which it is judged later.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def __call__(self, prompts: Sequence[Any], trainer: KitGRPOTrainer) -> dict[str, Any]:
        tokens = TurnTokens(trainer)
        seated = list(self._seat(trainer.rows, training=trainer.model.training))
        reported = self._play_out([play for play, seat in seated if seat == 0], tokens, trainer)
        made = {id(play): play.answers(self._domain) for play, _ in seated}
        sides = [play.sides[seat] for play, seat in seated]
        # A seat that never moved, since the game ended before, has one token, which does not train.
        moved = [bool(side.after) for side in sides]
        return {
            "prompt_ids": [side.prompt or play.sides[0].prompt for side, (play, _) in zip(sides, seated, strict=True)],
            "completion_ids": [side.after or [tokens.end] for side in sides],
            "env_mask": [side.own or [0] for side in sides],
            "logprobs": [side.logprobs or [0.0] for side in sides] if reported else None,
            "answer": [made[id(play)][seat] for play, seat in seated],
            "seat": [seat if yes else None for (_, seat), yes in zip(seated, moved, strict=True)],
        }

    def _seat(self, rows: Sequence[Mapping[str, Any]], *, training: bool) -> Iterator[tuple[Play, int]]:
        """A play and a seat for each row."""
        for _, run in groupby(rows, key=lambda row: row["example_id"]):
            play, free = None, iter(())
            for row in run:
                seat = next(free, None)
                if play is None or seat is None:
                    example = example_of(row)
                    play = Play(example, self._match(example, training=training))
                    free = iter(range(1, len(play.sides)))
                    seat = 0
                yield play, seat

    def _match(self, example: Example, *, training: bool) -> Match:
        found = self._domain.match(example) if training else None
        return found or SoloMatch(self._domain, example)

    def _play_out(self, plays: Sequence[Play], tokens: TurnTokens, trainer: KitGRPOTrainer) -> bool:
        """Play all matches to their ends; True where the engine reports log-probabilities.

        Sampling is collective: a rank whose games are over samples along until those of all ranks are.
        """
        reported = False
        filler = tokens.question(plays[0].example.messages)
        while True:
            going = [(play, ids) for play in plays if (ids := play.next_prompt(tokens)) is not None]
            if not any(gather_object([len(going)])):
                return reported
            asked = [ids for _, ids in going] or [filler]
            made, logprobs = trainer.sample_turns(asked)
            reported = logprobs is not None
            for at, (play, _) in enumerate(going):
                play.take(made[at], logprobs[at] if logprobs is not None else None, tokens)


def pay_by_seat(names: Sequence[str], seats: Sequence[int | None], rewards: Sequence[float]) -> list[float]:
    """Rewards from which the advantage of each seat is taken: each seat's mean is moved to the mean of its group.

    Seats of one game have chances of their own, such as the first move. Otherwise the group's baseline would reward the
    better seat, and not the better play ("role-conditioned advantages", Liu et al., "SPIRAL: Self-Play on Zero-Sum
    Games Incentivizes Reasoning", 2025). A row whose seat never moved (None) gets the group's mean, and so no
    advantage. Groups may lie on several ranks, so that this is collective.
    """
    mine = list(zip(names, seats, rewards, strict=True))
    groups: dict[Any, list[float]] = defaultdict(list)
    for name, seat, reward in gather_object(mine):
        if seat is not None:
            groups[name].append(reward)
            groups[name, seat].append(reward)
    return [
        fmean(groups[name]) + (0.0 if seat is None else reward - fmean(groups[name, seat]))
        for name, seat, reward in mine
    ]
