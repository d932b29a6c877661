"""Rehearse every shipped recipe, one after another: `make rehearse-all`.

Each recipe is a run of its own for each seed. A failure does not end the others, and what is finished is skipped, so
that the same command goes on after an interruption. Runs are named after the code's version: changed code rehearses
anew. A table at the end has each run's score with its interval, its best baseline and its minutes. The exit code is 0
only if every run beat the baselines that its profile expects (`expect`: all of them unless it says otherwise).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from cortex.artifacts.artifact import find
from cortex.artifacts.code_version import code_version
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.errors import CortexError, UsageError
from cortex.evaluation.record import label
from cortex.profiles.profile_file import EXPECTATIONS, read_expectation
from cortex.runs.context import artifact_prefix, list_runs, load_run
from cortex.runs.model_standing import Standing, standing
from cortex.runs.show import describe_run, read_evaluations
from cortex.section import nearest
from cortex.settings import CHECKOUT, Settings
from scripts.recipes import KEPT, record, shipped_profiles, write_table

INTERRUPTED = 130


@dataclass(frozen=True)
class Recipe:
    """One run of a shipped profile."""

    profile: str
    seed: int
    run: str
    expected: str
    """The baselines that it is expected to beat: all, reference or none."""


@dataclass(frozen=True)
class Scored:
    """The outcome of a recipe that is finished, in each of its domains."""

    standings: dict[str, Standing]
    seconds: float

    def meets(self, expected: str) -> bool:
        """Tell if in every domain at least the expected baselines are beaten."""
        order = EXPECTATIONS
        return all(order.index(each.beaten) <= order.index(expected) for each in self.standings.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="", metavar="0,1,2", help="seeds to rehearse; default: each profile's own")
    parser.add_argument("--profile", action="append", default=[], help="only this profile; may be repeated")
    parser.add_argument("--record", action="store_true", help="enter the runs of the profiles' own seeds in README")
    args = parser.parse_args()
    try:
        store = open_store(Settings().bucket_url)
        recipes = plan(args.profile, read_seeds(args.seeds))
        code = rehearse(recipes, store)
        scored = {recipe: read_score(store, recipe.run) for recipe in recipes}
        print_scores(scored, Console())
        if args.record:
            _record(store, [recipe for recipe, found in scored.items() if found])
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    met = all(found and found.meets(recipe.expected) for recipe, found in scored.items())
    sys.exit(code or (0 if met else 1))


def read_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a list such as `0,1,2`; none where the profiles' own are meant.

    Raises:
        UsageError: an item is no seed.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = next((word for word in words if not (word.isascii() and word.isdecimal())), None)
    if wrong is not None:
        raise UsageError(f"--seeds {text!r}: {wrong!r} is no seed: write whole numbers, as in 0,1,2")
    return tuple(dict.fromkeys(int(word) for word in words))


def plan(only: Sequence[str], seeds: Sequence[int]) -> list[Recipe]:
    """The rehearsals to run: of all shipped profiles for a CPU, or `only` of these.

    Raises:
        UsageError: one of `only` is none of them.
    """
    profiles = {name: each for name, each in shipped_profiles().items() if each.hardware.device == "cpu"}
    unknown = next((name for name in only if name not in profiles), None)
    if unknown is not None:
        raise UsageError(f"no rehearsal {unknown!r}: {nearest(unknown, profiles)}")
    code = code_version().rpartition("+")[2][:8]
    return [
        Recipe(name, seed, f"all-{code}-{name}-{seed}", read_expectation(name))
        for name, profile in profiles.items()
        if not only or name in only
        for seed in (seeds or (profile.seed,))
    ]


def rehearse(recipes: Sequence[Recipe], store: Store) -> int:
    """Rehearse what is not finished. 0, or an interruption's exit code, which ends the rest."""
    for number, recipe in enumerate(recipes, 1):
        title = f"{number} of {len(recipes)}: {recipe.profile}, seed {recipe.seed}"
        if find(store, artifact_prefix(recipe.run, "release")):
            print(f"{title}: finished as run {recipe.run}", flush=True)
            continue
        print(title, flush=True)
        words = ["rehearse", "--run", recipe.run]
        if recipe.run not in list_runs(store):
            words += ["--profile", recipe.profile, "--seed", str(recipe.seed)]
        try:
            done = subprocess.run([sys.executable, "-m", "cortex", *words], cwd=CHECKOUT, check=False)
        except KeyboardInterrupt:
            done = None  # the rehearsal got the signal, too, and has said what is kept
        if done is None or done.returncode == INTERRUPTED:
            return INTERRUPTED
    return 0


def read_score(store: Store, run: str) -> Scored | None:
    """The outcome of a run; None while it is not finished."""
    if not find(store, artifact_prefix(run, "release")):
        return None
    found = read_evaluations(store, run, load_run(store, run).domain)
    seconds = sum(stage["seconds"] for stage in describe_run(store, run)["stages"])
    return Scored({name: standing(each) for name, each in found.items()}, seconds)


def print_scores(scored: dict[Recipe, Scored | None], console: Console) -> None:
    """Print a row for each run and domain."""
    table = Table(
        "profile", "seed", "score", "95% interval", "best baseline", "beaten", "expected", "minutes", box=None
    )
    for recipe, found in scored.items():
        named = (recipe.profile, str(recipe.seed))
        if found is None:
            table.add_row(*named, "not finished", "", "", "", recipe.expected, "")
            continue
        for each in found.standings.values():
            table.add_row(
                *named,
                f"{each.name} {each.value:+z.3f}",
                f"{each.low:+z.3f} to {each.high:+z.3f}",
                f"{label(each.baseline)} {each.baseline_value:+z.3f}",
                each.beaten,
                recipe.expected,
                f"{found.seconds / 60:.1f}",
            )
    console.print(table)


def _record(store: Store, recipes: Sequence[Recipe]) -> None:
    """Enter in README's table what the runs of the profiles' own seeds measured."""
    shipped = shipped_profiles()
    own = [recipe.run for recipe in recipes if shipped[recipe.profile].seed == recipe.seed]
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    record(kept, store, own)
    write_table(kept)
    print(f"README's table has {len(own)} of these runs", flush=True)


if __name__ == "__main__":
    main()
