"""The command of `jobs/tinker.yaml`: the verb takes every option that it gives, with the values that it gives them."""

import os
import subprocess

import typer.main
import yaml

from cortex.settings import CHECKOUT
from cortex.verbs.tinker_verb import app

TASK = yaml.safe_load((CHECKOUT / "jobs" / "tinker.yaml").read_text(encoding="utf-8"))


def test_the_verb_takes_what_the_job_gives_it() -> None:
    given = {name: str(value) for name, value in TASK["envs"].items() if value is not None}
    variables = {"PATH": os.environ["PATH"], **given, "SKYPILOT_NUM_GPUS_PER_NODE": "8"}
    spoken = 'cortex() { printf "%s\\n" "$@"; }\n' + TASK["run"]
    words = subprocess.run(["bash", "-euc", spoken], env=variables, capture_output=True, check=True, text=True).stdout
    verb, *rest = words.splitlines()
    assert verb == "tinker"
    context = typer.main.get_command(app).make_context("tinker", rest)
    taken = context.params
    assert (taken["base"], taken["gpus"], taken["rank"]) == ("meta-llama/Llama-3.1-8B-Instruct", 8, 32)
    assert (taken["micro_batch"], taken["idle_minutes"], taken["host"]) == (8, 60.0, "127.0.0.1")
