"""The program that `pulumi` runs in this folder: read the stack's settings, and declare its resources."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from infra.ground import declare, load

declare(load())
