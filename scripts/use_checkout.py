"""Make the environment that runs this one of the checkout's code: `python -m cortex` and `bin/cortex` run it.

It needs to fetch and build nothing: an editable install would run a build backend, which is in no lock.
"""

import os
import shlex
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMMAND = """\
#!/bin/sh
# -P: no module of the folder that this is called from takes the place of one that the kit imports.
exec {python} -P -m cortex "$@"
"""


PATH = "import os, sys; sys.path.append(os.fsdecode({root!r}))\n"
"""A line of a `.pth` file. Python 3.11 reads these in the locale's encoding, and under LC_ALL=C ends at a path with an
accent before it runs anything: this line is ASCII, whatever the checkout is called."""


def main() -> None:
    # By the environment's own path, not by that of the Python which its link leads to.
    command = Path(sys.executable).with_name("cortex")
    packages = Path(sysconfig.get_path("purelib"))
    (packages / "cortex.pth").write_text(PATH.format(root=os.fsencode(ROOT)), encoding="ascii")
    command.write_bytes(os.fsencode(COMMAND.format(python=shlex.quote(sys.executable))))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
