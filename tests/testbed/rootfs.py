"""The machines' root file system: Debian, with SSH, and SkyPilot's own runtime as its real images have it."""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from cortex.errors import ConfigError
from tests.debian import SUITE, Debian

PACKAGES = (
    "ca-certificates,curl,fuse3,gcc,git,iproute2,libc6-dev,lsof,netcat-openbsd,openssh-server,patch,procps,python3,"
    "rsync,sudo,unzip"
)
USER = "ubuntu"
"""The user that SkyPilot logs in as."""

TOOLS = ("rsync", "ssh")
"""Programs that SkyPilot calls on its own side; the root file system lends them to a host that has none."""

RUNTIME = """
set -eu
export VIRTUAL_ENV="$HOME/skypilot-runtime"
uv venv --seed "$VIRTUAL_ENV" --python /usr/bin/python3
wheel=$(echo "$HOME"/.sky/wheels/{wheel}/*.whl)
uv pip install --compile-bytecode \\
    "setuptools<70" "click<8.3.0" "ray[default]==2.9.3" "pydantic-core==2.41.1" "skypilot[aws,remote] @ file://$wheel"
echo {wheel} > "$HOME/.sky/wheels/current_sky_wheel_hash"
uv venv --seed --relocatable --system-site-packages --python /usr/bin/python3 "$HOME/sky-user-env"
"""
"""SkyPilot's runtime, as `sky.skylet.constants` installs it. What is there is not installed again: no index is needed.

That holds for SkyPilot's own wheel, too, which the server builds: equal sources give an equal wheel. The bytecode is
compiled ahead, since each machine would compile it again.
"""

HASTE = {
    "etc/dpkg/dpkg.cfg.d/testbed": (
        "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n"
        "path-exclude=/usr/share/locale/*\n"
    ),
}
"""Settings by which installing packages neither waits for the disk nor unpacks pages that nobody reads."""


FILES = {
    f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD:ALL\n",
    "etc/uv/uv.toml": "no-index = true\n",
}


def rootfs(cache: Path, wheel: Path, log: Path) -> Path:
    """The root file system's folder. SkyPilot's own `wheel` is installed there, from a folder named by its hash.

    It is made on first use, aside, so that a half-made one is never used.

    Raises:
        ConfigError: it cannot be made; the log says why.
    """
    recipe = repr((SUITE, PACKAGES, RUNTIME, FILES, HASTE, wheel.parent.name))
    target = cache / f"rootfs-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "rootfs.lock").open("w") as guard, log.open("ab") as output:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not target.exists():
            making = cache / "rootfs-making"
            shutil.rmtree(making, ignore_errors=True)
            _make(making, Debian(cache, output.fileno()), wheel)
            making.rename(target)
    return target


def lend_tools(base: Path, folder: Path) -> Path:
    """Lend a host the programs that it lacks: those of the root file system, run with their own libraries."""
    folder.mkdir(parents=True, exist_ok=True)
    libraries = base / "usr" / "lib" / "x86_64-linux-gnu"
    for name in TOOLS:
        if shutil.which(name) is None:
            loader = libraries / "ld-linux-x86-64.so.2"
            program = folder / name
            program.write_text(
                f'#!/bin/sh\nexec "{loader}" --library-path "{libraries}" "{base}/usr/bin/{name}" "$@"\n'
            )
            program.chmod(0o755)
    return folder


def _make(target: Path, debian: Debian, wheel: Path) -> None:
    home = target / "home" / USER
    _write(target, HASTE)
    debian.bootstrap(target, PACKAGES)
    debian.run(["chroot", target, "useradd", "--create-home", "--shell", "/bin/bash", USER])
    # No password, and not locked either: sshd refuses keys to a locked account.
    debian.run(["chroot", target, "usermod", "--password", "*", USER])
    debian.run(["chroot", target, "ssh-keygen", "-A"])
    (target / "usr" / "bin" / "systemctl").unlink(missing_ok=True)
    (target / "usr" / "bin" / "systemctl").symlink_to("true")
    binaries = home / ".local" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(_uv(), binaries / "uv")
    for path in (Path("etc/resolv.conf"), Path("etc/ssl/certs/ca-certificates.crt")):
        shutil.copy(Path("/") / path, target / path)
    owner = home.stat()
    wheels = home / ".sky" / "wheels" / wheel.parent.name
    wheels.mkdir(parents=True)
    shutil.copy(wheel, wheels)
    for top in (home / ".local", home / ".sky"):
        for path in (top, *top.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    index = ("http_proxy", "https_proxy", "no_proxy", "uv_default_index", "uv_index", "uv_index_url")
    inside = {name: value for name, value in os.environ.items() if name.lower() in index}
    inside |= {"HOME": f"/home/{USER}", "PATH": f"/home/{USER}/.local/bin:/usr/sbin:/usr/bin:/bin", "UV_NO_CACHE": "1"}
    inside |= {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    script = RUNTIME.format(wheel=wheel.parent.name)
    # In a namespace of its own, so that a kill leaves no program behind.
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    debian.run([*apart, "chroot", f"--userspec={USER}:{USER}", target, "sh", "-c", script], inside)
    _write(target, FILES)
    shutil.rmtree(target / "var" / "cache" / "apt", ignore_errors=True)


def _write(target: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)


def _uv() -> str:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        raise ConfigError("uv is not installed: run `make setup`, and start the bed with `make testbed`")
    return found
