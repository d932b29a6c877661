"""A debate: one model argues about a question in several roles, and answers it in the last of them.

An answer at once, without reasoning, is the debate in which nobody speaks before the last.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from cortex.domains.question import Conversation, Question


class Debate(ABC):
    """A domain's roles, their prompts, and the reading of their replies."""

    @abstractmethod
    def begin(self, question: Question) -> Mapping[str, Conversation]:
        """The prompt of each role that speaks first, by role, with the same roles for every question."""

    @abstractmethod
    def close(self, question: Question, said: Mapping[str, str]) -> Conversation:
        """The prompt of the last role, which sees what the others said; replies that cannot be read are left out."""

    @abstractmethod
    def conclude(self, said: Mapping[str, str], last: str) -> str:
        """The debate's reply, to be graded as any other; one that cannot be read where no role's reply can."""
