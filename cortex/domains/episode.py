"""Questions of several turns: the model speaks, the world answers, until one of them ends it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cortex.domains.question import Conversation, Message

MOST_TURNS = 200
"""Turns of a model after which a dialogue ends, should an episode never do so itself."""

Ask = Callable[[list[Conversation]], Sequence[str]]
"""Takes N conversations; returns a model's next turn in each (N)."""


class Episode(ABC):
    """One exchange between a model and the world. It keeps its own state, such as the calls made or the board."""

    @abstractmethod
    def step(self, reply: str) -> tuple[Message, ...] | None:
        """Take the model's turn; return the messages that the model is told next, or None at the end.

        It must be repeatable: equal replies get equal messages, on any machine. A mistake of the model is no error
        but a message that says so. It must return within seconds, whatever the reply holds.
        """


@dataclass(frozen=True)
class ToolTurns:
    """Episodes in which the world answers calls of tools, and nothing else."""

    mark: str
    """The beginning of a call. A reply that holds it gets one message of the role `tool`; any other is the last."""
    most: int
    """Replies with calls that are answered; the next is the last, whatever it holds."""


class Dialogue:
    """An episode under way: the question, and all turns since. Without an episode one reply ends it."""

    def __init__(self, question: Conversation, episode: Episode | None) -> None:
        self._question, self._episode = question, episode
        self._turns: list[Message] = []
        self._said = 0
        self.open = True
        """The model has the next turn."""

    @property
    def prompt(self) -> Conversation:
        """The conversation so far, which the model's next turn follows."""
        return (*self._question, *self._turns)

    @property
    def turns(self) -> Conversation:
        """All turns after the question. The last is the model's own, unless it never had one."""
        return tuple(self._turns)

    def reply(self, text: str) -> None:
        """Take the model's turn, and the world's answer to it."""
        assert self.open, "a dialogue that has ended takes no more turns"
        self._turns.append(Message("assistant", text))
        self._said += 1
        told = self._episode.step(text) if self._episode else None
        if told is None or self._said == MOST_TURNS:
            self.open = False
        else:
            self._turns += told

    def cut(self) -> None:
        """End it before the model's next turn, for want of room. What the world said last is dropped: no turn of the
        model follows it."""
        while self._turns and self._turns[-1].role != "assistant":
            self._turns.pop()
        self.open = False


def hold(dialogues: Sequence[Dialogue], ask: Ask) -> list[Conversation]:
    """Hold dialogues to their ends, all together turn by turn; returns the turns of each."""
    while going := [dialogue for dialogue in dialogues if dialogue.open]:
        for dialogue, text in zip(going, ask([dialogue.prompt for dialogue in going]), strict=True):
            dialogue.reply(text)
    return [dialogue.turns for dialogue in dialogues]


def replies(question: Conversation, turns: Conversation) -> list[tuple[Conversation, str]]:
    """Every reply of the model among the turns, each with the conversation that it followed."""
    return [((*question, *turns[:at]), turn.content) for at, turn in enumerate(turns) if turn.role == "assistant"]


def one_reply(text: str) -> Conversation:
    """The turns of a dialogue that a single reply ended."""
    return (Message("assistant", text),)


def transcript(turns: Iterable[Message]) -> str:
    """All turns as one text for people; a single reply as it is."""
    first, *others = turns
    return "\n\n".join([first.content, *(f"[{turn.role}]\n{turn.content}" for turn in others)])
