"""Write README's table of recipes: `make recipes`. Every figure is the kit's own.

A row is a shipped profile. For GPUs, minutes are the kit's estimate of the work, and dollars are the
median of its replays with a price list, else the most that the budget allows. Of rehearsals, minutes, score and commit
are those of a finished run, which `RUN=<id>` records. `docs/recipes.json` keeps what was recorded and priced.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cortex.artifacts.artifact import find
from cortex.artifacts.code_version import code_version
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.errors import CortexError, DataError
from cortex.evaluation.record import label
from cortex.fleet.estimate import estimate_profile, estimate_run
from cortex.fleet.estimate.policies import Deadline
from cortex.fleet.estimate.training_prices import training_offers
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.model_standing import standing
from cortex.runs.show import describe_run, read_evaluations
from cortex.settings import CHECKOUT, Settings

README, KEPT = CHECKOUT / "README.md", CHECKOUT / "docs" / "recipes.json"
BEGIN, END = "<!-- recipes: written by `make recipes` -->\n", "<!-- recipes end -->\n"
HEAD = (
    "| profile | domain | command | minutes | dollars | score, 95% interval | best baseline | commit |\n"
    "| --- | --- | --- | ---: | ---: | --- | --- | --- |\n"
)
Recipes = dict[str, dict[str, Any]]
"""By profile, what was `measured` in a run, and what it was `priced` at."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="append", default=[], metavar="RUN", help="record this finished rehearsal")
    parser.add_argument("--price", action="store_true", help="price the profiles for GPUs by SkyPilot's catalog")
    args = parser.parse_args()
    kept: Recipes = json.loads(KEPT.read_text(encoding="utf-8"))
    try:
        record(kept, open_store(Settings().bucket_url), args.run)
        for name, profile in shipped_profiles().items():
            if args.price and profile.hardware.device == "cuda":
                kept.setdefault(name, {})["priced"] = price(profile)
        table = write_table(kept)
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(table, end="")


def record(kept: Recipes, store: Store, runs: Sequence[str]) -> None:
    """Enter what these finished rehearsals measured.

    Raises:
        DataError: as `measure`.
    """
    for run in runs:
        name, measured = measure(store, run)
        kept.setdefault(name, {})["measured"] = measured


def write_table(kept: Recipes) -> str:
    """Write what is known into the table's file and into README, and return the table."""
    table = render(kept)
    KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8"), table), encoding="utf-8")
    return table


def shipped_profiles() -> dict[str, Profile]:
    """The profiles of `jobs/profiles/` by name: rehearsals first, then by their most dollars."""
    found = [load_profile(path.stem) for path in PROFILES.glob("*.yaml")]
    ordered = sorted(found, key=lambda profile: (profile.budget.dollars, profile.name))
    return {profile.name: profile for profile in ordered}


def measure(store: Store, run: str) -> tuple[str, dict[str, Any]]:
    """The name of a rehearsal's profile, and its figures.

    Raises:
        DataError: it is not finished, its profile is not the shipped one, or other code than this commit's made it.
    """
    profile = load_run(store, run)
    if profile.digest not in {shipped.digest for shipped in shipped_profiles().values()}:
        raise DataError(f"run {run!r} was made with values of its own: rehearse a shipped profile without SET and SEED")
    release = find(store, artifact_prefix(run, "release"))
    if release is None:
        raise DataError(f"run {run!r} has no release yet: finish it, make rehearse RUN={run}")
    if release.code != code_version():
        raise DataError(f"run {run!r} was made by {release.code}, and this is {code_version()}: rehearse anew")
    if _git("status", "--porcelain", "--", "cortex", "jobs"):
        raise DataError("cortex/ or jobs/ has changes that are in no commit: commit them, so that the run has one")
    seconds = sum(stage["seconds"] for stage in describe_run(store, run)["stages"])
    found = standing(next(iter(read_evaluations(store, run, profile.domain).values())))
    return profile.name, {
        "seconds": round(seconds),
        "score": found.name,
        "value": round(found.value, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
        "best": None if found.best is None else round(found.best, 4),
        "baseline": label(found.baseline),
        "baseline_value": round(found.baseline_value, 4),
        "threads": profile.hardware.threads,
        "commit": _git("rev-parse", "--short=7", "HEAD"),
    }


def price(profile: Profile) -> dict[str, Any]:
    """Median dollars of a run that rents spot machines first, at the cheapest prices of SkyPilot's catalog.

    Raises:
        ConfigError: the catalog is not here, and cannot be fetched.
    """
    replayed = estimate_run(profile, training_offers(profile))
    mixed = next(policy for policy in replayed.policies if policy.policy == Deadline().name)
    return {"dollars": round(mixed.dollars.p50), "spot_dollars_per_hour": replayed.job.spot}


def render(kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of all shipped profiles."""
    return HEAD + "".join(_row(profile, kept.get(name, {})) for name, profile in shipped_profiles().items())


def with_table(text: str, table: str) -> str:
    """README with another table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _row(profile: Profile, kept: Mapping[str, Any]) -> str:
    measured, priced = kept.get("measured"), kept.get("priced")
    if profile.hardware.device == "cpu":
        option = "" if profile.name == "rehearsal" else f" PROFILE={profile.name}"
        command, dollars = f"make rehearse{option}", "0"
        minutes = f"{measured['seconds'] / 60:.1f} on {measured['threads']} cores" if measured else ""
    else:
        command = f"make train PROFILE={profile.name}"
        minutes = f"{estimate_profile(profile).work / 60:.0f} estimated"
        most = f"{profile.budget.dollars:g}"
        dollars = f"{priced['dollars']} estimated, {most} at most" if priced else f"{most} at most"
    score, baseline = _scores(measured) if measured else ("not run", "")
    commit = f"`{measured['commit']}`" if measured else ""
    cells = (f"`{profile.name}`", profile.domain.kind, f"`{command}`", minutes, dollars, score, baseline, commit)
    return "| " + " | ".join(cells) + " |\n"


def _scores(measured: Mapping[str, Any]) -> tuple[str, str]:
    """The score in words, with its interval and the best attainable; and the best baseline with its own."""
    # Measurements of earlier versions have no interval and no baseline.
    low, high = measured.get("interval") or (None, None)
    interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
    best = "" if measured["best"] is None else f" of {measured['best']:.4f}"
    name = measured.get("baseline")
    baseline = f"{name} {measured['baseline_value']:.4f}" if name else ""
    return f"{measured['score']} {measured['value']:.4f}{interval}{best}", baseline


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=CHECKOUT, check=True, capture_output=True, encoding="utf-8"
    ).stdout.strip()


if __name__ == "__main__":
    main()
