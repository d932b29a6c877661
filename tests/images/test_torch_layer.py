import re
from pathlib import Path

import pytest

from cortex.local.environments import IMAGES
from scripts.images.build import NAMES, VARIANTS
from scripts.lock import blocks, shared

LOCK = """\
plain==1.0 \\
    --hash=sha256:{plain}
    # via torch
nvidia-cublas==13.1 \\
    --hash=sha256:01
    # via {via}
nvidia-other=={other} \\
    --hash=sha256:02
torch==2.13.0 \\
    --hash=sha256:03
    # via -r images/a/requirements.in
triton==3.7.1 \\
    --hash=sha256:{triton}
    # via torch
"""


def test_what_all_locks_with_torch_have_alike_is_shared() -> None:
    first = LOCK.format(plain="0a", via="torch", other="1", triton="04")
    second = LOCK.format(plain="0a", via="nvidia-cusolver", other="2", triton="05")
    found = shared([first, "plain==1.0 \\\n    --hash=sha256:0a\n", second])
    assert found == ("nvidia-cublas==13.1 \\\n    --hash=sha256:01\ntorch==2.13.0 \\\n    --hash=sha256:03\n")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_shared_locks_are_those_of_the_images(variant: str) -> None:
    paths = [path for name in NAMES if (path := Path(IMAGES, name, VARIANTS[variant])).exists()]
    written = (IMAGES / "torch" / f"{variant}.lock").read_text(encoding="utf-8")
    assert written == shared([path.read_text(encoding="utf-8") for path in paths]), "make them anew: make locks"
    names = [name for name, _ in blocks(written)]
    assert "torch" in names
    if variant == "cuda":
        assert "triton" in names and len(names) > 10
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for _, entry in blocks(written))
