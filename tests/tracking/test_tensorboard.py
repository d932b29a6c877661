"""TensorBoard's event files, read by TensorBoard."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cortex.profiles.profile import Profile
from cortex.tracking.curve import Point
from cortex.tracking.tensorboard import TensorBoard, write_curve
from cortex.tracking.tracker import Training
from tests.programs import in_image

pytestmark = pytest.mark.rehearsal

READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
read = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
read.Reload()
found = {tag: [[each.step, each.value, each.wall_time] for each in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
json.dump(found, sys.stdout)
"""
READ_TABLES = """
import json, sys
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.text.text_plugin import text_array_to_html
from tensorboard.util.tensor_util import make_ndarray
read = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
read.Reload()
texts = read.summary_metadata
found = {
    tag: [[each.step, text_array_to_html(make_ndarray(each.tensor_proto), True)] for each in read.Tensors(tag)]
    for tag in read.Tags()["tensors"]
    if texts[tag].plugin_data.plugin_name == "text"
}
json.dump(found, sys.stdout)
"""


@pytest.fixture
def training(tmp_path: Path, profile: Profile) -> Training:
    return Training("run-1", "sft", profile, tmp_path / "kept", tmp_path / "scratch")


def read(folder: Path, program: str = READ) -> Any:
    """Points that TensorBoard reads; its package is in SFT's image."""
    done = in_image("sft", ["-c", program, str(folder / "tensorboard")], "")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_tensorboard_reads_what_was_drawn(training: Training) -> None:
    points = [Point(step, 1.7e9 + step, {"loss": 1 / step, "reward/format": 0.5}) for step in range(1, 301)]
    points.append(Point(2**40, 1.7e9, {"loss": 1e300, "a/long name \u00e9" * 20: -1.0}))
    board = TensorBoard(training)
    assert board.open() == -1
    board.draw(points[:100])
    board.draw(points[100:])
    board.close()
    curves = read(training.folder)
    assert [int(step) for step, _, _ in curves["loss"]] == [point.step for point in points]
    assert [value for _, value, _ in curves["loss"][:300]] == pytest.approx([1 / step for step in range(1, 301)])
    assert curves["loss"][300][1] == float("inf")
    assert curves["loss"][6][2] == 1.7e9 + 7
    assert curves["a/long name \u00e9" * 20] == [[2**40, -1.0, 1.7e9]]


def test_an_attempt_writes_its_file_anew(training: Training) -> None:
    folder = training.folder / "tensorboard"
    write_curve([Point(step, step, {"loss": 1.0}) for step in range(1, 30)], folder, training.name)
    path = write_curve([Point(step, step, {"loss": 2.0}) for step in range(1, 4)], folder, training.name)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert read(training.folder)["loss"] == [[1, 2.0, 1], [2, 2.0, 2], [3, 2.0, 3]]


def test_tensorboard_shows_the_answers_of_a_step_as_a_table(training: Training) -> None:
    rows = [{"completion": f"<script>{n}</script>\n| *sure* {chr(0xD800)}", "reward": n / 4} for n in range(2)]
    points = [Point(step, 1.7e9 + step, {"loss": 1.0}, f"train-{step:08d}.jsonl") for step in (1, 2, 3)]
    board = TensorBoard(replace(training, rows=lambda point: rows if point.step == 2 else []))
    for _ in range(2):  # an attempt that goes on writes the file anew
        board.open()
        board.draw(points)
    [[step, html]] = read(training.folder, READ_TABLES)["samples/train"]
    assert step == 2 and html.count("<tr>") == 3 and "<em>sure</em>" in html and "0.25" in html
    assert "<script>" not in html
    assert len(read(training.folder)["loss"]) == 3
