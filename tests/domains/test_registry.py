import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.domains.markets import Markets
from cortex.domains.registry import find_domain, known_domains, read_domain
from cortex.domains.scaffold import scaffold

PROGRAM = (
    "from cortex.domains.registry import known_domains, read_domain;"
    "print(*known_domains()); print(type(read_domain({'kind': 'toy'})).__module__)"
)


def test_a_domain_is_found_by_its_kind() -> None:
    assert "markets" in known_domains() and "templates" not in known_domains()
    assert find_domain("markets") is Markets
    assert read_domain({"kind": "markets", "horizon_days": 7}) == Markets(horizon_days=7)


@pytest.mark.parametrize("kind", ["market", "Markets", "markts"])
def test_an_unknown_kind_names_the_nearest(kind: str) -> None:
    with pytest.raises(ValueError, match=rf"no domain '{kind}': .*markets"):
        read_domain({"kind": kind})


def test_a_folder_of_domains_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cortex", "domain", "check", "mine"]
    environment = {**os.environ, "CORTEX_DOMAINS": str(tmp_path / "nowhere")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 78 and done.stderr.count("\n") == 1, done.stderr
    known = ", ".join(known_domains())
    assert f"no domain 'mine': known are {known}; CORTEX_DOMAINS names {tmp_path / 'nowhere'}" in done.stderr


def test_a_section_without_a_kind_names_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"`kind` says which domain it is: .*markets"):
        read_domain({"horizon_days": 7})


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(ValueError, match="horizont_days"):
        read_domain({"kind": "markets", "horizont_days": 7})


def test_a_domain_in_a_folder_of_the_environment_is_found(tmp_path: Path) -> None:
    scaffold("toy", tmp_path)
    folders = os.pathsep.join(["", str(tmp_path)])  # an empty entry is no folder
    command, environment = [sys.executable, "-c", PROGRAM], {**os.environ, "CORTEX_DOMAINS": folders}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    kinds, module = printed.splitlines()
    assert {"markets", "toy"} <= set(kinds.split())
    assert module == "cortex.domains.toy"
    assert "toy" not in known_domains()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:", "domain 'broken' cannot be loaded: SyntaxError: invalid syntax"),
        ("import nowhere", "domain 'broken' cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("x = 1", "domain 'broken' cannot be loaded: AttributeError: .* no attribute 'DOMAIN'"),
        ("DOMAIN = dict", "its DOMAIN is <class 'dict'>, not a class of domains"),
        (
            "from cortex.domains.domain import Domain\nclass Broken(Domain): ...\nDOMAIN = Broken",
            "Broken has no `scale`",
        ),
    ],
)
def test_a_domain_whose_code_is_wrong_is_one_line(source: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text(source, encoding="utf-8")
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: rehearsal\nname: mine\ndomain: {kind: broken}\n", encoding="utf-8")
    environment = {**os.environ, "CORTEX_DOMAINS": str(tmp_path)}
    for verb in (["domain", "check", "broken"], ["profile", "show", str(profile)], ["profile", "schema"]):
        command = [sys.executable, "-m", "cortex", *verb]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 78 and done.stderr.count("\n") == 1, done.stderr
        assert re.search(words, done.stderr), done.stderr
