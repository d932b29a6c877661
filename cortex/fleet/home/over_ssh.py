"""Download of a release straight from the instance that made it, for when the instance cannot reach its bucket.

On the instance, the release stage writes the release's manifest before it sends a byte, and keeps the folder until the
instance ends; see `cortex.stages.runner`.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from cortex.artifacts.file_names import MANIFEST, SIGNATURE
from cortex.artifacts.landing import landing
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.patience import Patience
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.receiving import Advance
from cortex.errors import ConfigError, DataError
from cortex.fleet.home.box import Box
from cortex.fleet.home.download import put_signature, release_folder, write_receipt
from cortex.fleet.home.rsync import Copy, require_rsync
from cortex.limits import LEDGER_BYTES, MANIFEST_BYTES, SIGNATURE_BYTES
from cortex.runs.context import artifact_prefix, check_run_id, local_ledger, output_folder
from cortex.runs.ledger import parse

HOMES = ('"$CORTEX_HOME"', '"$(cortex home 2>/dev/null)"', '"$HOME"/sky_workdir/.cortex', '"$HOME"/.cortex')
"""Places of CORTEX_HOME there, in shell syntax: as the login shell says, in SkyPilot's checkout, or below `$HOME`."""


@dataclass(frozen=True)
class LiveRelease:
    """A complete release on a live instance."""

    run: str
    box: Box
    path: str
    manifest: Manifest
    signature: bytes
    """The bytes of its `model.sig`; empty where it is not signed."""
    rsync: str
    """rsync's path on the instance."""

    @property
    def source(self) -> str:
        return f"ssh://{self.box.name}{self.path}"


def find_release(box: Box, run: str, remote_home: str | None = None) -> LiveRelease:
    """Look for a run's release on an instance; nothing is written, there or here.

    Raises:
        UsageError: the run's id is not a valid one.
        ConfigError: the instance cannot be reached as this user, or rsync is missing there or here.
        RefusedError: the instance's key has changed.
        DataError: the run is not there, or its release is not complete; or the instance does not answer.
        VerificationError: the file there is not a manifest of the kit.
    """
    check_run_id(run)
    require_rsync()
    found = _ask(box, run, remote_home)
    homes = ", ".join(found.get("home", [])) or "any place where it is looked for"
    if "release" not in found:
        if "run" in found:
            raise DataError(
                f"run {run} has no complete release on {box.name} yet ({found['run'][0]}): let its stages end; "
                f"while the bucket answers, `cortex show {run}` says how far it is"
            )
        if "home" in found:
            raise DataError(f"run {run} is not on {box.name}, in {homes}: name its cluster, or give --remote-home")
        raise DataError(f"{box.name} has no CORTEX_HOME in {homes}: say where it is with --remote-home")
    if "rsync" not in found:
        raise ConfigError(f"rsync is not installed on {box.name}: ssh {box.name} 'sudo apt-get install -y rsync'")
    path = found["release"][0]
    manifest = Manifest.parse(box.read(f"{path}/{MANIFEST}", MANIFEST_BYTES), f"ssh://{box.name}{path}/{MANIFEST}")
    release = LiveRelease(run, box, path, manifest, box.read(f"{path}/{SIGNATURE}", SIGNATURE_BYTES), found["rsync"][0])
    _warn_of_outage(release)
    return release


def bring(
    release: LiveRelease,
    home: Path,
    to: Path | None = None,
    *,
    advance: Advance = lambda _: None,
    patience: Patience | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Receipt:
    """Download a release over SSH, and write its receipt, as `download` does from the bucket.

    After a kill at any point the same call continues; so does `download`, if the bucket answers by then.

    Raises:
        VerificationError: the instance's copy is damaged.
        RefusedError: something else lies at the place, or another download into it is under way.
        ConfigError: the disk is full or cannot be written.
        DataError: the connection was lost, and could not be made again within `patience`.
    """
    target = release_folder(home, release.run, to)
    with landing(target, release.manifest) as part:
        if part is None:
            advance(release.manifest.size)
        else:
            Copy(release.box, release.rsync, release.path, part, advance, patience).fill(release.manifest)
    if release.signature:
        put_signature(target, release.signature)
    return write_receipt(release.run, release.manifest, target, home, release.source, "cluster", now())


def _ask(box: Box, run: str, remote_home: str | None) -> dict[str, list[str]]:
    """Paths found on the instance, by kind, best first: `rsync`, `home`, `run`, `release`."""
    homes = HOMES if remote_home is None else (_shell_path(remote_home),)
    work = output_folder(Path("work") / run, "release")
    places = (work, Path("bucket") / artifact_prefix(run, "release"))
    script = f"""
        found=$(command -v rsync) && printf 'rsync %s\\n' "$found"
        for home in {" ".join(homes)}; do
            case $home in /*) ;; *) continue ;; esac
            [ -d "$home" ] && printf 'home %s\\n' "$home"
            [ -d "$home"/work/{run} ] && printf 'run %s\\n' "$home"/work/{run}
            for place in {" ".join(shlex.quote(str(place)) for place in places)}; do
                [ -f "$home/$place/{MANIFEST}" ] && printf 'release %s\\n' "$home/$place"
            done
        done
    """
    found: dict[str, list[str]] = {}
    for line in box.ask(script).decode(errors="replace").splitlines():
        kind, _, path = line.partition(" ")
        found.setdefault(kind, []).append(path)
    return found


def _shell_path(path: str) -> str:
    """A path quoted for the shell there, which expands a leading `~/` itself."""
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)


def _warn_of_outage(release: LiveRelease) -> None:
    """Warn of the instance's outage of its bucket, where its own ledger tells of one that still lasts."""
    path = shlex.quote(str(local_ledger(Path(release.path).parent)))
    # The last entries suffice; a long ledger is no reason not to download the release.
    ledger = release.box.ask(f"tail -c {LEDGER_BYTES} -- {path} 2>/dev/null", LEDGER_BYTES).decode(errors="replace")
    outage = None
    # The first line may be cut off, and the last may be half written.
    for event in parse(line for line in ledger.splitlines() if line.endswith("}")):
        if event["event"] in ("bucket_unreachable", "bucket_answers", "stage_finished"):
            outage = event if event["event"] == "bucket_unreachable" else None
    if outage and "since" in outage:
        since = datetime.fromtimestamp(outage["since"], UTC)
        logger.warning(
            f"{release.box.name} cannot reach its bucket since {since:%Y-%m-%d %H:%M} UTC: "
            f"{outage.get('reason', 'it does not say why')}"
        )
