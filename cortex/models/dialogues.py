"""Dialogues of models with the worlds of their questions, whose answers are stored as all answers are.

All dialogues of a stage step together: a round is one turn of every model in every dialogue that is still open. A model
is loaded once a round. A stage that is killed asks only for what no batch of an earlier attempt has answered, and the
worlds, which repeat themselves, take it to the same turns.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cortex.domains.domain import Domain
from cortex.domains.episode import Dialogue
from cortex.domains.question import Conversation, Example
from cortex.models.sampling import Answers, SampledModel
from cortex.models.stored_answers import Request, sample_requests
from cortex.runs.context import RunContext


def finish_dialogues(
    context: RunContext,
    stage: str,
    examples: Sequence[Example],
    requests: Sequence[Request],
    opened: Sequence[Answers],
    *,
    gpus: int,
) -> list[list[Conversation]]:
    """All turns of each request's dialogues (N each), given the answers to the questions themselves.

    Every request asks for one answer to each of the N examples' questions, and `opened` has these answers. Where a
    question has no episode, the answer is all. A dialogue whose next prompt would fill the model's context ends before.

    Raises as `sample_requests`.
    """
    held = [_begin(context.profile.domain, examples, answers) for answers in opened]
    while True:
        for request, dialogues in zip(requests, held, strict=True):
            cut_the_longest(request.model, dialogues)
        going = [[dialogue for dialogue in dialogues if dialogue.open] for dialogues in held]
        asked = [
            Request(request.model, [dialogue.prompt for dialogue in dialogues], request.asked)
            for request, dialogues in zip(requests, going, strict=True)
        ]
        if not any(request.prompts for request in asked):
            return [[dialogue.turns for dialogue in dialogues] for dialogues in held]
        for dialogues, answers in zip(going, sample_requests(context, stage, asked, gpus=gpus), strict=True):
            for dialogue, (first, *_) in zip(dialogues, answers, strict=True):
                dialogue.reply(first)


def _begin(domain: Domain, examples: Sequence[Example], answers: Answers) -> list[Dialogue]:
    dialogues = [Dialogue(example.messages, domain.episode(example)) for example in examples]
    for dialogue, (first, *_) in zip(dialogues, answers, strict=True):
        dialogue.reply(first)
    return dialogues


def cut_the_longest(model: SampledModel, dialogues: Sequence[Dialogue]) -> None:
    """End the open dialogues that leave no room for an answer: an engine would refuse their prompts."""
    going = [dialogue for dialogue in dialogues if dialogue.open]
    most = _context_of(model) if going else None
    if most is None:
        return
    from cortex.models.token_counts import count_tokens

    counted = count_tokens(model.folder, [dialogue.prompt for dialogue in going], [""] * len(going))
    for dialogue, (tokens, _) in zip(going, counted, strict=True):
        if tokens >= most:
            dialogue.cut()


def _context_of(model: SampledModel) -> int | None:
    """The tokens that a model's context holds; None where its configuration does not say, or is not on this machine."""
    file = Path((model.base or model.folder) if model.is_adapter else model.folder, "config.json")
    if not file.is_file():
        return None
    most = json.loads(file.read_text(encoding="utf-8")).get("max_position_embeddings")
    return most if isinstance(most, int) else None
