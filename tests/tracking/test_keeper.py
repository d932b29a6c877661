"""The small files of a training reach the bucket."""

import time
from collections.abc import Callable

from cortex.artifacts.store import Store
from cortex.tracking.keeper import Keeper, tracking_folder
from tests.checkpoints.conftest import RUN, NewContext

FOLDER = f"runs/{RUN}/grpo/tracking"


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def kept(store: Store) -> dict[str, bytes]:
    return {entry.key.removeprefix(f"{FOLDER}/"): store.get(entry.key) for entry in store.list(FOLDER)}


def test_files_are_sent_while_it_goes_on_and_the_last_of_them_at_its_end(new_context: NewContext) -> None:
    context = new_context()
    folder = tracking_folder(context, "grpo")
    with Keeper(context, "grpo", every=0.05):
        (folder / "samples").mkdir(parents=True)
        (folder / "samples" / "train-1.jsonl").write_text("{}\n")
        (folder / "samples" / "train-2.partial").write_text("half of")
        (folder / "link").symlink_to("/etc/hostname")
        wait_until(lambda: kept(context.store) == {"samples/train-1.jsonl": b"{}\n"})
        (folder / "events").write_text("one")
        wait_until(lambda: kept(context.store).get("events") == b"one")
        (folder / "events").write_text("one and two")
    assert kept(context.store) == {"samples/train-1.jsonl": b"{}\n", "events": b"one and two"}
