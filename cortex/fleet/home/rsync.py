"""Copy of large files from an instance by rsync: interrupted copies continue, and every file's hash is checked."""

import os
import re
import resource
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence

from loguru import logger

from cortex.artifacts.folders import explaining_write_errors, sync
from cortex.artifacts.hashing import WORKERS, hash_file
from cortex.artifacts.landing import SLACK, Part
from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.patience import Patience
from cortex.artifacts.receiving import ATTEMPTS, Advance
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError
from cortex.fleet.home.box import CONNECT_SECONDS, Box, LostConnectionError
from cortex.limits import ANSWER_BYTES
from cortex.process import running
from cortex.text import harmless

SILENCE_SECONDS = 60
"""Seconds without a byte after which a connection is closed and made anew."""

CHECKED_AT_ONCE = max(16, WORKERS)
"""Files that are hashed and synced at the same time: small ones wait for the disk more than they compute."""

OLDEST = (3, 2, 5)
"""The oldest rsync that refuses files which it did not ask for (CVE-2022-29154)."""

_VERSION = re.compile(r"rsync +version v?(\d+)\.(\d+)\.(\d+)")
_PROGRESS = re.compile(r"\s*([\d,]+)\s+\d+%")
_REFUSED = re.compile("Host key verification failed|Permission denied")
_SYNTAX, _FILE_ERROR, _SOME_MISSING, _SOME_VANISHED, _SSH = 1, 11, 23, 24, 255
"""Exit codes of rsync."""

_BLOCK = 512
"""Bytes of the unit of `ulimit -f` in a POSIX shell."""


def require_rsync() -> str:
    """Path of rsync on this machine.

    Raises:
        ConfigError: it is not installed, or too old to be safe from a malicious instance.
    """
    program = shutil.which("rsync")
    if program is None:
        raise ConfigError(
            "rsync is not installed here: install it (Debian: apt install rsync, macOS: brew install rsync)"
        )
    asked = subprocess.run(
        [program, "--version"], capture_output=True, text=True, encoding="utf-8", check=False, timeout=10
    )
    found = _VERSION.match(asked.stdout)
    if found is None or tuple(map(int, found.groups())) < OLDEST:
        said = harmless(asked.stdout.partition("\n")[0], limit=60) or "says no version"
        raise ConfigError(
            f"{program} ({said}) takes files that nobody asked for: install rsync {'.'.join(map(str, OLDEST))} or newer"
        )
    return program


class Copy:
    """Copy of one folder of an instance into a part folder on this disk."""

    def __init__(
        self, box: Box, program: str, source: str, part: Part, advance: Advance, patience: Patience | None = None
    ) -> None:
        self._box, self._program, self._source, self._part = box, program, source.rstrip("/"), part
        self._patience = patience or Patience()
        self._advance, self._lock = advance, threading.Lock()
        self._told = self._right = 0
        """Bytes that were reported to `advance`; bytes of files whose hash is right."""

    def fill(self, manifest: Manifest) -> None:
        """Copy every file and check its hash; bytes that an earlier attempt copied are not copied again.

        Raises:
            VerificationError: the instance's copy is damaged or not whole.
            LostConnectionError: the instance did not answer within `patience`; what was copied is kept.
            ConfigError: this disk is full, or rsync is too old.
        """
        wrong = self._check(manifest.files)
        for _ in range(ATTEMPTS):
            if not wrong:
                return
            self._bring(wrong)
            wrong = self._check(wrong)
        if wrong:
            raise VerificationError(
                f"ssh://{self._box.name}{self._source}/{wrong[0].name} is damaged or gone: brought {ATTEMPTS} times, "
                f"it never had the SHA-256 of its manifest ({wrong[0].sha256[:12]}); run release there again"
            )

    def _check(self, entries: Sequence[FileEntry]) -> list[FileEntry]:
        """The files that are not complete and right; those that rsync could not continue are deleted."""
        right = in_parallel(self._is_right, entries, CHECKED_AT_ONCE)
        self._tell(self._right)
        return [entry for entry, good in zip(entries, right, strict=True) if not good]

    def _is_right(self, entry: FileEntry) -> bool:
        path = self._part.path / entry.name
        try:
            size = path.lstat().st_size
        except FileNotFoundError:
            return False
        if size < entry.size:
            return False
        with explaining_write_errors(path):
            if size > entry.size or hash_file(path).sha256 != entry.sha256:
                path.unlink()
                return False
            sync(path)
        with self._lock:
            self._right += entry.size
            self._tell(max(self._right, self._told))
        return True

    def _bring(self, entries: Sequence[FileEntry]) -> None:
        """Run rsync until it ends; a lost connection is made anew, and patience counts from the last byte."""

        def told(error: Exception, wait: float) -> None:
            logger.warning(f"{error}: again in {wait:.0f} s")

        with tempfile.NamedTemporaryFile(prefix="cortex-", suffix=".names") as names:
            names.write(b"\0".join(entry.name.encode() for entry in entries))
            names.flush()
            ended = False
            while not ended:
                ended = self._patience.persist(
                    lambda: self._transfer(entries, names.name), LostConnectionError, lambda *_: True, told
                )

    def _transfer(self, entries: Sequence[FileEntry], names: str) -> bool:
        """Run rsync once; False where some bytes came before the connection was lost."""
        before = self._size(entries)
        most = sum(entry.size for entry in entries) + SLACK
        with tempfile.TemporaryFile() as complaints:
            # rsync inherits the lock: if only this process is killed, rsync writes for a moment longer.
            with running(
                self._command(names, max(entry.size for entry in entries)),
                env=os.environ | {"LC_ALL": "C"},
                stdout=-1,
                stderr=complaints,
                pass_fds=(self._part.lock,),
            ) as process:
                assert process.stdout
                for line in process.stdout:
                    if found := _PROGRESS.match(line):
                        came = int(found[1].replace(",", ""))
                        if came > most:
                            raise self._too_much(f"{came:,} bytes came, of the {most - SLACK:,} of its manifest")
                        self._tell(self._right + came)
                code = process.wait()
            complaints.seek(0)
            said = harmless(complaints.read(ANSWER_BYTES).decode(errors="replace"), lines=True).splitlines()
        larger = next((entry for entry in entries if self._size([entry]) > entry.size), None)
        if larger:
            raise self._too_much(f"{larger.name} came with more than its {larger.size:,} bytes")
        if code in (0, _SOME_MISSING, _SOME_VANISHED):
            return True
        reason = " ".join(next((line for line in said if "rsync" in line), f"rsync ended with {code}").split())[:300]
        if code == _SYNTAX:
            raise ConfigError(f"{reason}: rsync 3.1 or newer is needed there; install it")
        if code == _FILE_ERROR and "[receiver]" in reason:
            raise ConfigError(
                f"{self._part.path} cannot be written ({reason}): make room or give another place with --to"
            )
        if code == _FILE_ERROR:
            raise DataError(f"{self._box.name} cannot read the release ({reason}): mend that, then run this again")
        refused = next((line for line in said if _REFUSED.search(line)), None)
        if code == _SSH and refused:
            raise RefusedError(
                f"{self._box.name} does not let rsync in ({refused}): see what `ssh {self._box.name}` says, mend it, "
                "then run this again"
            )
        if self._size(entries) > before:
            logger.warning(f"the connection to {self._box.name} was lost ({reason}): going on where it stopped")
            return False
        raise LostConnectionError(
            f"{self._box.name} does not answer any more ({reason}); what came is kept: the same command continues"
        )

    def _too_much(self, why: str) -> VerificationError:
        return VerificationError(f"ssh://{self._box.name}{self._source} is not what its manifest says: {why}")

    def _command(self, names: str, largest: int) -> list[str]:
        keep_alive = (f"ConnectTimeout={CONNECT_SECONDS}", "ServerAliveInterval=15", "ServerAliveCountMax=4")
        options = [word for one in ("BatchMode=yes", *keep_alive) for word in ("-o", one)]
        return [
            *_bounded(largest),
            require_rsync(),
            "--append",
            "--secluded-args",
            "--no-implied-dirs",
            "--perms",
            "--chmod=F644,D755",
            "--from0",
            f"--files-from={names}",
            f"--max-size={largest}",
            f"--timeout={SILENCE_SECONDS}",
            "--info=progress2",
            "--no-human-readable",
            "--outbuf=L",
            f"--rsh={shlex.join([*self._box.ssh, *options])}",
            f"--rsync-path={shlex.quote(self._program)}",
            f"{self._box.name}:{self._source}/",
            f"{self._part.path}/",
        ]

    def _size(self, entries: Sequence[FileEntry]) -> int:
        paths = (self._part.path / entry.name for entry in entries)
        return sum(path.stat().st_size for path in paths if path.exists())

    def _tell(self, total: int) -> None:
        self._advance(total - self._told)
        self._told = total


def _bounded(largest: int) -> list[str]:
    """Prefix of a command that has the kernel limit file sizes, because rsync trusts what the instance sends."""
    now, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if now != resource.RLIM_INFINITY and now <= largest:
        return []
    return ["sh", "-c", 'ulimit -f "$1"; shift; exec "$@"', "sh", str(largest // _BLOCK + 1)]
