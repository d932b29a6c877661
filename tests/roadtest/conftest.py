"""A road test over a bucket that is a folder: it rents nothing."""

from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.settings import Settings
from scripts.roadtest.prepare import PROFILE, load_profile
from scripts.roadtest.road import Road
from scripts.roadtest.verbs import Verbs


@pytest.fixture
def road(tmp_path: Path) -> Road:
    return make_test_road(tmp_path)


def make_test_road(folder: Path) -> Road:
    named = dict.fromkeys(("profile_path", "wall_profile_path", "pipeline", "wall_pipeline"), folder / "none.yaml")
    return Road(
        run="roadtest-20260101-120000-1a2b",
        wall="roadtest-20260101-120000-1a2b-wall",
        profile=load_profile(str(PROFILE)),
        settings=Settings(home=folder),
        store=open_store(str(folder / "bucket")),
        verbs=Verbs(folder / "said", {}),
        secret="0123456789abcdef",
        **named,
    )
