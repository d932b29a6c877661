"""Programs of these tests that run in an image's environment."""

import os
import subprocess

from cortex.local.environments import environment, on_path
from cortex.settings import CHECKOUT, Settings


def in_image(image: str, program: list[str], text: str = "", **further: str) -> subprocess.CompletedProcess[str]:
    """Run Python there, without a GPU or a model hub; `text` is its standard input, `further` are variables."""
    folder = environment(image, Settings())
    variables = {**os.environ, **on_path(folder), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", **further}
    return subprocess.run(
        [folder / "bin" / "python", *program],
        input=text,
        env=variables,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
