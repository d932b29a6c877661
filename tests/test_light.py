"""Verbs that people type often import nothing that they do not need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from tests.conftest import environment

HEAVY = {
    "sky",
    "boto3",
    "botocore",
    "torch",
    "transformers",
    "polars",
    "numpy",
    "duckdb",
    "pulumi",
    "fabric",
    "fastapi",
}

PROGRAM = """
import json, sys
from cortex.cli import main
try:
    main()
except SystemExit as left:
    code = left.code
print("modules", json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("status", "a"), ("runs",), ("cost", "a"), ("status", "a", "--json"), ("show", "a")]
)
def test_nothing_heavy_is_imported(words: tuple[str, ...], profile: Profile, store: Store, tmp_path: Path) -> None:
    create_run(store, "a", profile)
    Ledger(store, "a", 1).append("stage_started", stage="data")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    modules = set(json.loads(done.stdout.rpartition("modules ")[2]))
    assert "typer" in modules
    assert not modules & HEAVY
    if words == ("--help",):
        assert not modules & {"pydantic", "obstore", "yaml", "loguru"}
