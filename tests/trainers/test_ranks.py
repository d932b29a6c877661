"""Exits of the processes of one trainer."""

import json
from pathlib import Path

import pytest

from tests.programs import in_image

HERE = Path(__file__).parent

pytestmark = pytest.mark.rehearsal

BUSY = """
import atexit, threading, time
atexit.register(print, "what a library asked for")
threading.Thread(target=time.sleep, args=(600,)).start()  # the interpreter's end would wait for it
"""
LEAVE = "from cortex.trainers.ranks import leave; leave(75)"
AXOLOTL = "from cortex.trainers.axolotl_plugin import CortexPlugin; CortexPlugin().post_train_unload(None)"


@pytest.mark.parametrize(("image", "end", "code"), [("grpo", LEAVE, 75), ("sft", AXOLOTL, 0)])
def test_one_of_several_processes_ends_without_the_interpreters_end(image: str, end: str, code: int) -> None:
    ended = in_image(image, ["-c", BUSY + end], WORLD_SIZE="2")
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.endswith("what a library asked for\n")


def test_a_trl_trainer_leaves_its_group_before_it_ends(tmp_path: Path) -> None:
    ended = in_image("grpo", [str(HERE / "end_trl.py"), str(tmp_path)], PYTHONPATH=".")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {"in group": False}
    assert (tmp_path / "trained" / "model.safetensors").exists()
