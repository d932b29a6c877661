"""Steps at the end of the run: its last stage, its limits, the download of its release, and the teardown."""

from pathlib import Path

from cortex.artifacts.receipt import Receipt
from cortex.errors import DataError, StageError
from cortex.fleet.tasks.run_tasks import resolve, unpushed_images
from cortex.runs.pipeline import container_of
from scripts.roadtest.road import Road
from scripts.roadtest.step import Found, Step, unproven


def finish(road: Road) -> Found:
    def done() -> str | None:
        status = road.status_while_alive()
        if status.state != "done":
            return None
        attempts = sum(stage.attempts for stage in status.stages)
        return f"{len(status.stages)} stages done in {attempts} attempts"

    return Found(road.wait_for(done, "the release"))


def image(road: Road) -> Found:
    """Check that all tasks name their images by digest: a run that is done can have run in no other."""
    documents = resolve(road.profile, road.run, pipeline=road.pipeline, settings=road.settings)
    images = {container_of(document["resources"].get("image_id")) for document in documents}
    if None in images:
        return unproven("its pipeline names no image: bare machines")
    if missing := unpushed_images(documents):
        raise DataError(f"{', '.join(missing)} would be pulled by a tag: `make images && make push`")
    return Found(f"{len(images)} images: {', '.join(sorted(str(one)[-12:] for one in images))}")


def limits(road: Road) -> Found:
    """Compare the ledger's sums with the profile's caps; `wall` proves that a cap ends a run."""
    status, budget = road.look(road.run), road.profile.budget
    launched = min((event["time"] for event in road.events("launching")), default=status.now)
    hours = (status.now - launched) / 3600
    if status.spent > budget.dollars or hours > budget.max_duration:
        raise StageError(
            f"past its limits: ${status.spent:.2f} of ${budget.dollars:g}, {hours:.1f} of {budget.max_duration:g} hours"
        )
    if not status.spent:
        raise StageError("its ledger says that it cost nothing: no machine's price was entered")
    return Found(f"${status.spent:.2f} of ${budget.dollars:g}, {hours:.1f} of {budget.max_duration:g} hours")


def download(road: Road) -> Found:
    """Download the release, and verify it once more by another program, which does not use the bucket."""
    road.cortex("download", road.run)
    receipt = Receipt.read(road.settings.home.absolute(), road.run)
    if receipt is None:
        raise StageError("`cortex download` left no receipt")
    road.cortex("verify", Path(receipt.path))
    return Found(f"{receipt.files} files, {receipt.size / 1e6:.1f} MB, verified, in {receipt.path}")


def teardown(road: Road) -> Found:
    """Tear its machines down by its receipt, as after a real run."""
    said = road.cortex("teardown", road.run).strip().splitlines()
    return Found("; ".join(said[-2:]))


HOME = (
    Step(
        "finish",
        "Every stage runs on rented machines: data, labels, training, export, evaluation, release.",
        finish,
        seconds=3 * 3600,
        needs=("launch",),
    ),
    Step(
        "image",
        "Each task names its image by its digest, so that its machine started from that or not at all.",
        image,
        seconds=60,
        needs=("finish",),
    ),
    Step("limits", "The run stayed within its dollars and hours, by its own ledger.", limits, 60, needs=("finish",)),
    Step("download", "The release comes home whole, with a receipt.", download, seconds=1200, needs=("finish",)),
    Step("teardown", "Machines are let go once a copy is proven to be here.", teardown, 1800, needs=("download",)),
)
