"""Work for a process to be killed. It is imported before the fork, so that the work begins at once."""

import os
from pathlib import Path

from cortex.fleet.home.box import Box
from cortex.fleet.home.over_ssh import bring, find_release


def bring_over_ssh(environment: dict[str, str], config: Path, run: str, home: Path) -> None:
    os.environ.update(environment)
    with Box("box", config) as box:
        bring(find_release(box, run), home)
