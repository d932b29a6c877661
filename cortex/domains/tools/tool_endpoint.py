"""Questions that need tools as a service: the prompt of the training, and the answer between its tags."""

from collections.abc import Callable

from cortex.domains.endpoint import Endpoint, PlainRequest, Reading, ServedDomain
from cortex.domains.question import Conversation, Question
from cortex.domains.tools.tool_prompt import read_answer
from cortex.errors import DataError
from cortex.section import Section


class ToolEndpoint(Endpoint):
    """Takes a question in words; a model calls its tools before it answers."""

    def __init__(self, domain: ServedDomain, write_prompt: Callable[[str], Conversation]) -> None:
        super().__init__(domain)
        self._write_prompt = write_prompt

    def question(self, request: Section) -> Question:
        assert isinstance(request, PlainRequest)
        return Question("request", self._write_prompt(request.question))

    def read(self, reply: str) -> Reading:
        answer = read_answer(reply)
        if answer is None:
            raise DataError("the model gave no answer in the form asked for")
        return Reading({"answer": answer})
