"""`cortex review`: in the terminal and on its local page."""

import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cortex.teaching.review.decisions import DECISIONS, read_decisions
from tests.conftest import environment
from tests.teaching.review.test_review import write_labels

pytestmark = pytest.mark.integration


def review(tmp_path: Path, typed: str, *words: str) -> "subprocess.CompletedProcess[str]":
    named = [str(tmp_path / "labels"), "--to", str(tmp_path / "kept")]
    command = [sys.executable, "-m", "cortex", "review", *named, *words]
    return subprocess.run(
        command, check=False, input=typed, env=environment(tmp_path), capture_output=True, encoding="utf-8"
    )


def choices(tmp_path: Path) -> list[tuple[str, str, str]]:
    lines = (tmp_path / "kept" / DECISIONS).read_text(encoding="utf-8").splitlines()
    return [(row["by"], row["example_id"], row["choice"]) for row in map(json.loads, lines)]


def test_answers_are_judged_in_the_terminal_and_not_asked_about_again(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", flagged=3, accepted=2)
    first = review(tmp_path, "a\nx\nr\nq\n", "--by", "ann")
    assert first.returncode == 0, first.stderr
    assert "3 of 3 answers are left for ann" in first.stdout and "flagged 0" in first.stdout
    assert choices(tmp_path) == [("ann", "flagged-0", "accept"), ("ann", "flagged-1", "reject")]
    assert len(read_decisions(tmp_path / "kept")[0]) == 2
    second = review(tmp_path, "a\n", "--by", "ann")
    assert "1 of 3 answers are left for ann" in second.stdout
    assert "the rules and ann: 1 of 3 answers alike (33%), no kappa" in second.stdout
    assert review(tmp_path, "", "--by", "ann").stdout.startswith("0 of 3 answers are left")


def test_what_no_labels_are_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    done = review(tmp_path, "")
    assert done.returncode == 65 and "flagged.jsonl is not there" in done.stderr


def test_the_page_keeps_decisions_and_answers_nobody_without_its_secret(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", flagged=2)
    command = [sys.executable, "-m", "cortex", "review", str(tmp_path / "labels"), "--to", str(tmp_path / "kept")]
    # A shell's background job ignores SIGINT, and its children would, too.
    with subprocess.Popen(
        [*command, "--page", "--by", "ann"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        assert process.stdout
        address = urlsplit(next(word for line in process.stdout for word in line.split() if word.startswith("http")))

        def ask(method: str, path: str, body: str = "", host: str = address.netloc) -> tuple[int, str]:
            connection = HTTPConnection(address.netloc, timeout=10)
            connection.request(method, path, body, {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        own = address.path
        assert ask("GET", own)[1].startswith("<!doctype html>")
        rows = json.loads(ask("GET", f"{own}items")[1])
        assert [row["id"] for row in rows] == ["flagged-0", "flagged-1"]
        right = '{"item": 1, "choice": "reject"}'
        assert ask("GET", "/items")[0] == ask("GET", "/wrong/items")[0] == ask("GET", "/")[0] == 404
        assert ask("POST", f"{own}decide", right, host="evil.example")[0] == 404
        for bad in ("", "null", "[1]", '{"item": 2, "choice": "reject"}', '{"item": true, "choice": "accept"}'):
            assert ask("POST", f"{own}decide", bad)[0] == 400
        assert ask("POST", f"{own}decide", right)[0] == 200
        os.kill(process.pid, signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(20) == 0, said
    assert choices(tmp_path) == [("ann", "flagged-1", "reject")]
    assert "sealed" in said and len(read_decisions(tmp_path / "kept")[0]) == 1
