"""A GGUF copy's Modelfile, by which `ollama create` takes it in: the chat template in Ollama's language, where answers
end, and how they are sampled.

Ollama does not run the template that a GGUF file holds. Its own language is Go's text/template, over `.Messages`, each
with `.Role` and `.Content` (github.com/ollama/ollama/blob/main/docs/template.md).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from cortex.errors import DataError

Turns = Sequence[Mapping[str, str]]
Render = Callable[[Turns, bool], str]
"""The trained template: a conversation's text, with the opening of an answer at its end or not."""

FILE = "Modelfile"
_SYSTEM, _USER, _ASSISTANT, _OTHER = "\ue000s\ue001", "\ue000u\ue001", "\ue000a\ue001", "\ue000o\ue001"
"""Contents that no template has of its own: of Unicode's private use."""
_TURNS = (("user", _USER), ("assistant", _ASSISTANT), ("user", _OTHER))


class UntranslatableError(DataError):
    """A chat template is none that sets each turn between two fixed texts; the message is the reason."""


@dataclass(frozen=True)
class ChatPieces:
    """A chat template as the fixed texts around each turn."""

    around: Mapping[str, tuple[str, str]]
    """By role: the text before a turn, and that after it."""
    opening: str
    """Text at the beginning of a conversation without a system's turn."""
    answer: str
    """Text that opens an answer."""

    def text(self, turns: Turns) -> str:
        """A conversation as Ollama sends it, up to the opening of an answer."""
        system = any(turn["role"] == "system" for turn in turns)
        said = "".join(self.around[turn["role"]][0] + turn["content"] + self.around[turn["role"]][1] for turn in turns)
        return ("" if system else self.opening) + said + self.answer


def chat_pieces(render: Render, start: str) -> ChatPieces:
    """The pieces of a trained template. `start` is a text that the runtime sets before every prompt, which is left out.

    Raises:
        UntranslatableError: the template is not made of such pieces.
    """
    user, assistant, other = ({"role": role, "content": content} for role, content in _TURNS)
    first, after_user = _split(render([user], False), _USER)
    answer = render([user], True).removeprefix(first + _USER + after_user)
    after_assistant = _split(render([user, assistant], False), _ASSISTANT)[1]
    turns = render([user, assistant, other], False)
    before_assistant = _drop(_between(turns, _USER, _ASSISTANT), after_user, at_end=False)
    before_user = _drop(_between(turns, _ASSISTANT, _OTHER), after_assistant, at_end=False)
    around = {"user": (before_user, after_user), "assistant": (before_assistant, after_assistant)}
    try:
        system = render([{"role": "system", "content": _SYSTEM}, user], False)
        after_system = _drop(_between(system, _SYSTEM, _USER), before_user, at_end=True)
        around["system"] = (_split(system, _SYSTEM)[0].removeprefix(start), after_system)
    except (UntranslatableError, TemplateError):
        pass  # prompts without a turn of the system can still be translated
    return ChatPieces(around, _drop(first, before_user, at_end=True).removeprefix(start), answer)


def check_pieces(pieces: ChatPieces, render: Render, start: str, prompts: Iterable[Turns]) -> None:
    """Return if the pieces give the same text as the trained template for every prompt.

    Raises:
        UntranslatableError: they do not.
    """
    for prompt in prompts:
        known = all(turn["role"] in pieces.around for turn in prompt)
        if not known or start + pieces.text(prompt) != render(prompt, True):
            begun = prompt[0]["content"][:60]
            raise UntranslatableError(f"the chat template has no fixed text around each turn of {begun!r}")


def modelfile(pieces: ChatPieces, ends: Iterable[str], parameters: Mapping[str, int | float]) -> str:
    """The Modelfile of the GGUF file beside it; `ends` are the texts that end an answer."""
    roles = ""
    for role, (before, after) in pieces.around.items():
        condition = f"{'else ' if roles else ''}if eq .Role {json.dumps(role)}"
        roles += f"{{{{ {condition} }}}}{_go(before)}{{{{ .Content }}}}{_go(after)}"
    opening = f"{{{{ if not .System }}}}{_go(pieces.opening)}{{{{ end }}}}" if pieces.opening else ""
    template = f"{opening}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}{_go(pieces.answer)}"
    settings = [*(("stop", f'"{end}"') for end in ends), *parameters.items()]  # Ollama unquotes, and knows no escapes
    lines = [
        "FROM ./model.gguf",
        f'TEMPLATE """{template}"""',
        *(f"PARAMETER {key} {value}" for key, value in settings),
    ]
    return "\n".join(lines) + "\n"


def _go(text: str) -> str:
    """A fixed text in Go's template language, quoted: Ollama drops characters of a Modelfile that cannot be printed."""
    escaped = "".join(
        json.dumps(char, ensure_ascii=False)[1:-1] if char.isprintable() or char in "\n\t\r" else f"\\U{ord(char):08x}"
        for char in text
    )
    return f'{{{{ "{escaped}" }}}}' if text else ""


def _split(text: str, content: str) -> tuple[str, str]:
    before, found, after = text.partition(content)
    if not found or content in after:
        raise UntranslatableError("the chat template changes a turn's content, or leaves it out")
    return before, after


def _between(text: str, first: str, second: str) -> str:
    return _split(_split(text, first)[1], second)[0]


def _drop(text: str, part: str, *, at_end: bool) -> str:
    if not (text.endswith(part) if at_end else text.startswith(part)):
        raise UntranslatableError(f"the chat template sets other texts around a turn in another place: {text[:60]!r}")
    return text.removesuffix(part) if at_end else text.removeprefix(part)
