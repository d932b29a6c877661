"""What `pulumi` runs in this folder: read the stack's settings, declare its ground."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from infra.ground import declare, load

declare(load())
