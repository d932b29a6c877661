"""`cortex feedback`: what callers of a gateway posted, and datasets of it."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from cortex.text import json_text
from cortex.verbs.options import AsJson, read_path

app = typer.Typer(help="Feedback on a gateway's answers: list, pull and build.", no_args_is_help=True)


@app.command("list")
def list_feedback(as_json: AsJson = False) -> None:
    """Count the recorded requests on this machine, by domain, with what was posted about them."""
    from cortex.console import Console
    from cortex.serving.feedback.collecting import read_feedback_folder
    from cortex.serving.feedback.feedback_counts import count_feedback
    from cortex.settings import Settings

    recorded = read_feedback_folder(_root(Settings().home))
    counts = count_feedback(recorded)
    if as_json:
        print(json_text({"domains": counts, "gateways": recorded.gateways, "unreadable_lines": recorded.unreadable}))
        return
    console = Console()
    for domain, found in counts.items():
        console.print(f"{domain}: {', '.join(f'{count:,} {what}' for what, count in found.items())}", soft_wrap=True)
    if not counts:
        console.print("no feedback here: `cortex feedback pull` brings that of the bucket", soft_wrap=True)
    if recorded.unreadable:
        console.print(f"{recorded.unreadable} lines cannot be read, and are passed over", soft_wrap=True)


@app.command("pull")
def pull() -> None:
    """Bring the files of all gateways from the bucket to this machine."""
    from cortex.artifacts.open_store import open_store
    from cortex.serving.feedback.feedback_build import pull_feedback
    from cortex.settings import Settings

    settings = Settings()
    new, total = pull_feedback(open_store(settings.bucket_url), _root(settings.home))
    print(f"{new} of {total} files were new")


@app.command("build")
def build(
    profile: Annotated[str, typer.Argument(help="A profile of the next run: its domain reads the outcomes.")],
    out: Annotated[
        Path, typer.Option(parser=read_path, metavar="PATH", help="A folder that does not exist yet, or is empty.")
    ],
    domain: Annotated[
        str | None, typer.Option(help="The domain's name, where the profile has several, or the gateway's differs.")
    ] = None,
    test_share: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the newest questions for test.")] = 0.2,
    gap_hours: Annotated[float, typer.Option(min=0, help="Hours after the cut from which nothing is used.")] = 24.0,
    chats: Annotated[bool, typer.Option("--chats", help="Use chats' replies, too.")] = False,
    publish: Annotated[str | None, typer.Option(metavar="NAME", help="Publish it in the bucket, too.")] = None,
) -> None:
    """Turn recorded feedback into a dataset that a profile can name as its domain's `feedback`."""
    from cortex.artifacts.open_store import open_store
    from cortex.errors import UsageError
    from cortex.profiles.profile_file import load_profile
    from cortex.serving.feedback.feedback_build import build_feedback, publish_feedback
    from cortex.settings import Settings

    settings, parts = Settings(), load_profile(profile).domain.parts()
    name = domain or next(iter(parts))
    if len(parts) > 1 and name not in parts:
        raise UsageError(f"--domain {domain}: the profile has {', '.join(parts)}")
    if len(parts) > 1 and domain is None:
        raise UsageError(f"--domain: the profile has {', '.join(parts)}: name one")
    made = build_feedback(
        _root(settings.home),
        parts.get(name) or next(iter(parts.values())),
        name,
        out,
        test_share=test_share,
        gap=dt.timedelta(hours=gap_hours),
        chats=chats,
    )
    for reason, count in made["left_out"].items():
        print(f"left out: {count:,} {reason}")
    if publish:
        publish_feedback(out, open_store(settings.bucket_url), publish)
    print(f"{out}: {made['examples']:,} examples, manifest {made['manifest']}")


def _root(home: Path) -> Path:
    return home.absolute() / "serving/feedback"
