"""Link the environment that runs this script to the checkout's code: `python -m cortex` and `bin/cortex` then run it.

Nothing is downloaded or built: an editable install would run a build backend, which is in no lock.
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
"""A line of a `.pth` file. Python 3.11 reads these files in the locale's encoding, and under LC_ALL=C fails at startup
on a path with an accent; this line is ASCII, whatever the checkout's path is."""


def main() -> None:
    # The environment's own path, not that of the Python that its link leads to.
    command = Path(sys.executable).with_name("cortex")
    packages = Path(sysconfig.get_path("purelib"))
    (packages / "cortex.pth").write_text(PATH.format(root=os.fsencode(ROOT)), encoding="ascii")
    command.write_bytes(os.fsencode(COMMAND.format(python=shlex.quote(sys.executable))))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
