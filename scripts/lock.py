"""Make every lock under images/ anew: `make locks`.

Each image has two. `requirements.lock` is for its CUDA image, with hashes. `requirements.cpu.lock` has the same
versions for a machine without a GPU, without the CUDA libraries. Where UV_FIND_LINKS offers a CPU wheel of torch, no
CUDA library is downloaded; with the package index alone, torch's default wheel brings its own exact pins.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from cortex.local.environments import IMAGES, OVERRIDES, python_version

ROOT = IMAGES.parent
ONE_LOCK = ("browser", "control", "docs", "infra", "serve", "skypilot", "testbed")
"""Environments with a single lock: those of the laptop, which have no CUDA libraries to leave out, and those that only
run on a GPU."""

WITHOUT_THE_KIT = ("docs", "llama-cpp", "skypilot")
"""Environments in which none of the kit's code runs."""

CPU_ALONE = ("benchmarks", "llama-cpp", "vllm-cpu")
"""Environments for machines without a GPU alone, of no image."""

CUDA_ONLY = re.compile(r"^(nvidia-|cuda-)")


def compile_lock(source: Path, target: Path, constraint: Path | None) -> None:
    """Resolve `source`, and the kit's own requirements where its code runs, into `target`, by the package index."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes"]
    command += ["--python-version", python_version(source.parent.name)]
    command += ["--python-platform", "x86_64-manylinux_2_28", "--no-header", "--emit-build-options"]
    command += ["--output-file", str(target)]
    command += [] if source.parent.name in WITHOUT_THE_KIT else ["pyproject.toml"]
    command += [str(source.relative_to(ROOT))]
    if constraint:
        command += ["--constraint", str(constraint.relative_to(ROOT))]
    overrides = source.with_name(OVERRIDES)
    if overrides.exists():
        command += ["--overrides", str(overrides.relative_to(ROOT))]
    subprocess.run(command, check=True, cwd=ROOT)


def blocks(lock: str) -> list[tuple[str, str]]:
    """The lock's entries as (package name, text of the entry with its hashes and its `# via` lines)."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", lock)
    return [(re.match(r"[A-Za-z0-9._-]+", entry).group(), entry) for entry in entries if entry[:1].isalnum()]  # type: ignore[union-attr]


def without_cuda(lock: str) -> str:
    """Drop packages that only torch's CUDA build needs, and torch's hashes, since its CPU wheel has others."""
    kept: list[str] = []
    for name, entry in blocks(lock):
        via = set(re.findall(r"#\s+(?:via\s+)?([A-Za-z0-9][\w.-]*)\s*$", entry, re.M)) - {"via"}
        if CUDA_ONLY.match(name) or (name == "triton" and via == {"torch"}):
            continue
        kept.append(re.sub(r" \\\n\s+--hash=\S+", "", entry) if name == "torch" else entry)
    return "".join(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="forget the locked versions and take the newest")
    parser.add_argument("images", nargs="*", help="which images (default: all)")
    args = parser.parse_args()
    for image in args.images or sorted(path.parent.name for path in IMAGES.glob("*/requirements.in")):
        folder = IMAGES / image
        lock, cpu_lock = folder / "requirements.lock", folder / "requirements.cpu.lock"
        if args.upgrade:
            lock.unlink(missing_ok=True)
            cpu_lock.unlink(missing_ok=True)
        cuda_source = folder / "requirements.cuda.in"
        if image not in CPU_ALONE:
            compile_lock(cuda_source if cuda_source.exists() else folder / "requirements.in", lock, None)
            print(f"{image}: {lock.relative_to(ROOT)}")
        if image not in ONE_LOCK:
            compile_lock(folder / "requirements.in", cpu_lock, None if image in CPU_ALONE else lock)
            cpu_lock.write_text(without_cuda(cpu_lock.read_text(encoding="utf-8")), encoding="utf-8")
            print(f"{image}: {cpu_lock.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
