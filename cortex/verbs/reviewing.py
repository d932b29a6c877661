"""The verb that lets a person decide of a teacher's answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import harmless
from cortex.verbs.options import read_path

if TYPE_CHECKING:
    from cortex.settings import Settings
    from cortex.teaching.review.decisions import Choice, Decisions
    from cortex.teaching.review.review_items import Item
    from cortex.teaching.review.review_page import OnChoice

app = typer.Typer()


@app.command()
def review(
    labels: Annotated[
        str, typer.Argument(metavar="RUN|DIR", help="A run whose labels are made, or a folder of labels.")
    ],
    to: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="DIR", help="Where decisions are kept; default: in `home`.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; default: CORTEX_OWNER.")] = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Also review so many accepted and so many rejected ones, for the agreement.")
    ] = 0,
    page: Annotated[bool, typer.Option("--page", help="Review on a local page in place of the terminal.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The page's port; 0 takes a free one.")] = 0,
) -> None:
    """Page through the flagged answers of a teacher, keep who decided what, and compare people with the rules."""
    from cortex.settings import Settings
    from cortex.teaching.review.decisions import Decision, Decisions, hash_answer
    from cortex.teaching.review.review_items import read_items, undecided

    settings = Settings()
    folder, digest = _open_labels(labels, settings)
    person = by or settings.owner
    items = read_items(folder, sample)
    decisions = Decisions(to or settings.home / "reviews" / read_path(labels).absolute().name)
    left = undecided(items, set(decisions.of(person)))
    print(f"{len(left)} of {len(items)} answers are left for {harmless(person)}; decisions go into {decisions.folder}")

    def on_choice(item: "Item", choice: "Choice") -> None:
        decisions.add(Decision(item.example_id, hash_answer(item.answer), choice, person, item.grade))

    try:
        if page and left:
            _serve(left, on_choice, port)
        else:
            _page_through(left, on_choice)
    finally:
        if decisions.made:
            decisions.seal({"label": digest} if digest else {})
    _report(decisions)


def _open_labels(labels: str, settings: "Settings") -> "tuple[Path, str | None]":
    """The folder of labels, and its manifest's digest where it has one."""
    from cortex.artifacts.artifact import fetch
    from cortex.artifacts.manifest import MANIFEST, Manifest
    from cortex.artifacts.open_store import open_store
    from cortex.artifacts.store import MissingObjectError
    from cortex.runs.context import artifact_prefix, check_run_id

    path = read_path(labels)
    if path.is_dir():
        return path, Manifest.read(path).digest if (path / MANIFEST).exists() else None
    if "/" in labels:
        raise UsageError(f"{labels} is no folder: name a run, or a folder of labels")
    store = open_store(settings.bucket_url)
    try:
        artifact = fetch(store, artifact_prefix(check_run_id(labels), "label"), settings.home / "reviews" / ".labels")
    except MissingObjectError as error:
        raise UsageError(f"run {labels} has no labels in {store.url}: wait until its `label` has ended") from error
    return artifact.path, artifact.digest


def _page_through(items: "Sequence[Item]", on_choice: "OnChoice") -> None:
    """Show one answer after another in the terminal, and read a letter for each."""
    place = 0
    while place < len(items):
        item = items[place]
        turns = "\n\n".join(f"{role}: {harmless(text, lines=True)}" for role, text in item.turns)
        print(f"\n--- {place + 1} of {len(items)}: {harmless(item.example_id)}\n{turns}\n")
        print(f"answer: {harmless(item.answer, lines=True)}\n")
        print(f"the rules say: {harmless('; '.join(item.reasons)) or 'nothing'}")
        try:
            word = input("[a]ccept, [r]eject, [s]kip, [b]ack, [q]uit: ").strip().lower()[:1]
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if word == "q":
            return
        if word in ("a", "r"):
            on_choice(item, "accept" if word == "a" else "reject")
        place = max(0, place - 1) if word == "b" else place + (word in ("a", "r", "s"))


def _serve(items: "Sequence[Item]", on_choice: "OnChoice", port: int) -> None:
    from cortex.teaching.review.review_page import ReviewServer

    try:
        server = ReviewServer(items, on_choice, port)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used ({error.strerror}): name another, or 0 for any") from error
    print(f"open {server.url} in a browser of this machine; Ctrl-C ends the review", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def _report(decisions: "Decisions") -> None:
    from cortex.teaching.review.agreement import agreements

    found = agreements(decisions.made)
    for each in found:
        kappa = f"kappa {each.kappa:.2f}" if each.kappa is not None else "no kappa: one of them gave one verdict only"
        print(
            f"{each.first} and {harmless(each.second)}: {each.alike} of {each.answers} answers alike "
            f"({each.alike / each.answers:.0%}), {kappa}"
        )
    if any(each.kappa is None for each in found):
        print("review accepted and rejected answers, too, with --sample 50")
    if decisions.made:
        print(f"{decisions.folder}: sealed; `teacher.review` of a profile takes the decisions into account")
