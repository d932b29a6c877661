"""One user for all tests here, with an environment of each Python in turn."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.anyone.pythons import Python, oldest_python
from tests.anyone.user import PlainUser, plain_user, registry_variables
from tests.conftest import EXPECTED


@pytest.fixture(scope="session")
def newcomer() -> Iterator[PlainUser]:
    """The user, before anything is set up."""
    if os.geteuid() != 0:
        pytest.skip(f"{EXPECTED}only root can become another user")
    with plain_user() as made:
        yield made


@pytest.fixture(scope="session", params=("3.11", "3.12", "3.13"))
def python(request: pytest.FixtureRequest, newcomer: PlainUser) -> Python:
    """A Python that the user can read, or else a copy of it."""
    found = oldest_python(request.param)
    if found is None:
        pytest.skip(f"{EXPECTED}there is no Python {request.param} here that can make environments")
    return found if newcomer.can_read(found) else found.copied(newcomer.folder / f"python {request.param}")


@pytest.fixture(scope="session")
def user(python: Python, newcomer: PlainUser) -> PlainUser:
    """The user, with the control environment of that Python, made anew."""
    made = replace(newcomer, variables=python.variables)
    for verb in ("clean", "setup"):
        done = made.run("make", verb, f"PYTHON={python.executable}", variables=registry_variables())
        assert done.returncode == 0, done.stdout + done.stderr
    print(f"set up with Python {python}")
    return made
