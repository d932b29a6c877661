"""A program of the image `tinker`: writes a small Llama with a chat template into the folder that it is given."""

import sys
from pathlib import Path

from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel


def main() -> None:
    shape = ScratchModel(vocabulary=320, hidden_size=64, intermediate_size=128, layers=2, heads=4, context=64)
    build(shape, [f"{one}+{other}=" for one in range(10) for other in range(10)], 0, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
