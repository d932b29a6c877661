"""Chat templates in Ollama's language: the same prompts as the trained template's, or none."""

import json
import re
from collections.abc import Sequence

import pytest
from jinja2 import Environment

from cortex.models.modelfile import ChatPieces, Render, Turns, UntranslatableError, chat_pieces, check_pieces, modelfile

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are \"kind\".<|im_end|>\n' }}{% endif %}" + CHATML
)
LLAMA = (
    "{{ '<|begin|>' }}{% if messages[0].role == 'system' %}{% set said = messages[0].content %}"
    "{% set messages = messages[1:] %}{% else %}{% set said = '' %}{% endif %}"
    "{{ '<|head|>system<|end|>\n\nKnowledge: 2023\n\n' + said + '<|eot|>' }}"
    "{% for m in messages %}{{ '<|head|>' + m.role + '<|end|>\n\n' + m.content | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|end|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ '<bos>' }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content }}"
    "{{ '<end>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' }}{% if loop.last %}{{ messages[0].content + ' ' }}"
    "{% endif %}{{ m.content + '[/INST]' }}{% else %}{{ m.content }}{% endif %}{% endfor %}"
)

ASKED = [{"role": "user", "content": 'up?\n "12"'}]
TOLD = [{"role": "system", "content": "Be short."}, *ASKED]
TALKED = [*TOLD, {"role": "assistant", "content": "No."}, {"role": "user", "content": "And now?"}]


def rendering(template: str) -> Render:
    def refuse(words: str) -> None:
        raise UntranslatableError(words)

    compiled = Environment().from_string(template)
    return lambda turns, opened: compiled.render(messages=turns, add_generation_prompt=opened, raise_exception=refuse)


def run_in_go(template: str, turns: Turns) -> str:
    """Run the few parts of Go's text/template that a Modelfile uses: texts, `range`, `if`, `else if` and `end`."""
    parts = re.findall(r"\{\{ (.*?) \}\}(?=\{\{|$)", template)
    assert "".join(f"{{{{ {part} }}}}" for part in parts) == template, "nothing stands between actions"
    system = any(turn["role"] == "system" for turn in turns)

    def run(at: int, turn: dict[str, str] | None, alive: bool) -> tuple[str, int]:
        said = ""
        while at < len(parts):
            part = parts[at]
            if part == "end" or part.startswith("else"):
                return said, at
            if part.startswith('"'):
                said, at = said + (json.loads(part) if alive else ""), at + 1
            elif part == ".Content":
                said, at = said + (turn["content"] if alive and turn else ""), at + 1
            elif part == "range .Messages":
                inner = [run(at + 1, dict(one), alive) for one in turns]
                said, at = said + "".join(text for text, _ in inner), inner[0][1] + 1
            else:
                taken = False
                while parts[at] != "end":
                    words = parts[at].removeprefix("else ").removeprefix("if ")
                    true = (
                        not system if words == "not .System" else bool(turn) and words == f'eq .Role "{turn["role"]}"'
                    )
                    text, at = run(at + 1, turn, alive and true and not taken)
                    said, taken = said + text, taken or true
                at += 1
        return said, at

    return run(0, None, True)[0]


def template_of(text: str) -> str:
    found = re.search(r'TEMPLATE """(.*?)"""\n', text, re.DOTALL)
    assert found
    return found.group(1)


@pytest.mark.parametrize("template", [CHATML, QWEN, LLAMA, GEMMA], ids=["chatml", "qwen", "llama", "gemma"])
@pytest.mark.parametrize("prompt", [ASKED, TOLD, TALKED], ids=["asked", "told", "talked"])
def test_ollama_sends_what_the_model_was_trained_on(template: str, prompt: list[dict[str, str]]) -> None:
    start = {LLAMA: "<|begin|>", GEMMA: "<bos>"}.get(template, "")
    render = rendering(template)
    turns: Turns = prompt if template != GEMMA else [turn for turn in prompt if turn["role"] != "system"]
    pieces = chat_pieces(render, start)
    check_pieces(pieces, render, start, [turns])
    assert start + run_in_go(template_of(modelfile(pieces, ["<e>"], {})), turns) == render(turns, True)


def test_a_prompt_of_a_role_that_the_template_lacks_is_refused() -> None:
    render = rendering(GEMMA)
    pieces = chat_pieces(render, "<bos>")
    with pytest.raises(UntranslatableError, match=r"no fixed text around each turn of 'Be short\.'"):
        check_pieces(pieces, render, "<bos>", [TOLD])


@pytest.mark.parametrize(
    ("template", "turns"),
    [(MISTRAL, TALKED), (CHATML.replace("m.content", "m.content | upper"), ASKED), ("{{ 'hello' }}", ASKED)],
    ids=["the first turn in the last", "changed contents", "no contents"],
)
def test_templates_without_fixed_texts_are_refused(template: str, turns: Sequence[dict[str, str]]) -> None:
    render = rendering(template)
    with pytest.raises(UntranslatableError):
        check_pieces(chat_pieces(render, ""), render, "", [turns])


def test_a_beginning_that_only_the_runtime_sets_is_refused() -> None:
    """Its file would have Ollama begin with a token that no prompt of the training began with."""
    render = rendering(CHATML)
    with pytest.raises(UntranslatableError):
        check_pieces(chat_pieces(render, "<bos>"), render, "<bos>", [ASKED])


def test_a_modelfile_names_its_file_where_answers_end_and_how_they_are_sampled() -> None:
    pieces = ChatPieces({"user": ('"""\n', "\u200b")}, "", "")
    text = modelfile(pieces, ["<|im_end|>", "</s>"], {"temperature": 0, "num_ctx": 512})
    message = r'{{ "\"\"\"\n" }}{{ .Content }}{{ "\U0000200b" }}'
    assert text.splitlines() == [
        "FROM ./model.gguf",
        f'TEMPLATE """{{{{ range .Messages }}}}{{{{ if eq .Role "user" }}}}{message}{{{{ end }}}}{{{{ end }}}}"""',
        'PARAMETER stop "<|im_end|>"',
        'PARAMETER stop "</s>"',
        "PARAMETER temperature 0",
        "PARAMETER num_ctx 512",
    ]
