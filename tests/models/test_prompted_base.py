"""A base behind a long prompt: asked as its chat template wants it, and not at all where its context is too short."""

import json
from pathlib import Path

import pytest

from tests.programs import in_image

pytestmark = pytest.mark.rehearsal

PROGRAM = """
import json, sys
from pathlib import Path
from cortex.domains.question import Message
from cortex.models.prompted_base import fit_prompts
from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel

folder = Path(sys.argv[1])
shape = ScratchModel(vocabulary=300, hidden_size=16, intermediate_size=16, layers=1, heads=1, context=128)
build(shape, ["rise or fall", "Be kind."], 0, folder)
question = Message("user", "rise or fall")
brief, long = ([(Message("system", text), question)] for text in ("Be kind.", "Be kind. " * 90))
template = folder / "chat_template.jinja"
fits = [fit_prompts(str(folder), brief, 16), fit_prompts(str(folder), long, 16)]
refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
template.write_text(refusing + template.read_text())
print(json.dumps([*fits, fit_prompts(str(folder), brief, 16)]))
"""


def test_the_prompt_comes_as_the_template_takes_it_and_only_if_it_fits(tmp_path: Path) -> None:
    done = in_image("grpo", ["-c", PROGRAM, str(tmp_path)])
    assert done.returncode == 0, done.stderr[-3000:]
    system, too_long, joined = json.loads(done.stdout.splitlines()[-1])
    assert system == [[["system", "Be kind."], ["user", "rise or fall"]]]
    assert too_long is None and "the base reads 128, the answer included: it is not asked" in done.stderr
    assert joined == [[["user", "Be kind.\n\nrise or fall"]]]
