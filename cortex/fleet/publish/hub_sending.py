"""Publication on the hub: the weights first, the card and the manifest last, each commit verified before the next.

Every step looks at what the hub has and does the rest, so that after a kill or an error at any point the same call
continues: files that were sent are known by their hashes, also those that no commit names yet.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

from cortex.artifacts.patience import Patience
from cortex.bases.hub import HubSilentError
from cortex.errors import VerificationError
from cortex.fleet.publish.hub_client import explaining_hub
from cortex.fleet.publish.hub_reading import require_same
from cortex.fleet.publish.hub_tree import LAST, LocalFile, read_tree, unlike
from cortex.fleet.publish.publication import Publication

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

ROUNDS = 3
"""Times that a file is sent which does not arrive as it was sent."""

FILES = 50
"""Most files of one commit: the hub advises against more than a hundred."""

Report = Callable[[str], None]
Result = TypeVar("Result")


def publish_release(
    api: "HfApi",
    plan: Publication,
    *,
    read_back: bool = False,
    patience: Patience | None = None,
    report: Report = lambda _: None,
) -> str:
    """Bring a planned release to the hub, and return the commit that holds it.

    A repository that did not exist is private until all of it was verified.

    Raises:
        VerificationError: the hub has other bytes than were sent, also after `ROUNDS` attempts.
        HubSilentError: the hub was in trouble for longer than `patience`: the same call continues.
        ConfigError, RefusedError, DataError: as `explaining_hub`.
    """
    sender = _Sender(api, plan, patience or Patience(deadline=600, first=1), report)
    sender.prepare()
    first = [file for name, file in plan.files.items() if name not in LAST]
    last = [file for name, file in plan.files.items() if name in LAST]
    sender.remove()
    sender.deliver(first, "weights and records")
    if read_back:
        sender.read_back(first)
    sender.deliver(last, "card and manifest")
    if read_back:
        sender.read_back(last)
    sender.open_up()
    return sender.commit()


class _Sender:
    def __init__(self, api: "HfApi", plan: Publication, patience: Patience, report: Report) -> None:
        self._api, self._plan, self._patience, self._report = api, plan, patience, report
        self._repository = plan.order.repository

    def prepare(self) -> None:
        """Make the repository, private, if there is none; ask for its gate before there is anything to read."""
        order = self._plan.order

        def make() -> None:
            self._api.create_repo(self._repository, private=True, exist_ok=True)
            if order.visibility == "gated":
                self._api.update_repo_settings(self._repository, gated="manual")

        self._persist(make)

    def remove(self) -> None:
        """Remove what is replaced, the old release's manifest among it."""
        from huggingface_hub import CommitOperationDelete

        def delete() -> None:
            there = read_tree(self._api, self._repository)
            operations = [CommitOperationDelete(name) for name in self._plan.removed if name in there]
            if operations:
                self._api.create_commit(self._repository, operations, commit_message="Make room for another release")

        if self._plan.removed:
            self._persist(delete)

    def deliver(self, files: Sequence[LocalFile], what: str) -> None:
        """Send the files that the hub does not have, until it reports the right hash for each.

        Raises:
            VerificationError: it does not.
        """
        for _ in range(ROUNDS):
            left = self._left(files)
            if not left:
                self._report(f"{what}: {len(files)} files are there, with the right hashes")
                return
            self._report(f"{what}: sending {len(left)} files, {sum(file.size for file in left):,} bytes")
            for start in range(0, len(left), FILES):
                self._send(left[start : start + FILES], what)
        wrong = ", ".join(file.name for file in self._left(files)[:5])
        raise VerificationError(
            f"{self._repository}: the hub reports other hashes than those of the files that were sent ({wrong}), "
            f"{ROUNDS} times: try again later with --replace"
        )

    def read_back(self, files: Collection[LocalFile]) -> None:
        """Read files back, and compare their bytes."""
        commit = self.commit()
        for file in files:
            self._persist(lambda file=file: require_same(self._api, self._repository, commit, file))
        self._report(f"{len(files)} files read back: their bytes are the release's")

    def open_up(self) -> None:
        """Set the visibility that was asked for, now that everything is there."""
        visibility = self._plan.order.visibility

        def change() -> None:
            info = self._api.model_info(self._repository)
            if visibility != "private" and info.private:
                self._api.update_repo_settings(self._repository, private=False)
            if visibility == "public" and info.gated:
                self._api.update_repo_settings(self._repository, gated=False)

        self._persist(change)

    def commit(self) -> str:
        """The newest commit of the main branch."""
        return self._persist(lambda: str(self._api.model_info(self._repository).sha))

    def _left(self, files: Sequence[LocalFile]) -> list[LocalFile]:
        return self._persist(lambda: unlike(files, read_tree(self._api, self._repository)))

    def _send(self, files: Sequence[LocalFile], what: str) -> None:
        """Send files in one commit. After an attempt whose answer was lost, those that arrived are left out."""
        known: dict[str, CommitOperationAdd] = {}

        def attempt() -> None:
            left = unlike(files, read_tree(self._api, self._repository))
            if left:
                operations = [self._operation(file, known) for file in left]
                message = f"Release {self._plan.manifest.digest[:12]}: {what}"
                self._api.create_commit(self._repository, operations, commit_message=message)

        self._persist(attempt)

    @staticmethod
    def _operation(file: LocalFile, known: "dict[str, CommitOperationAdd]") -> "CommitOperationAdd":
        """The client's operation for a file, which hashes it once more, but not at each attempt."""
        from huggingface_hub import CommitOperationAdd

        if file.name not in known:
            operation = CommitOperationAdd(file.name, file.source)
            if operation.upload_info.sha256.hex() != file.sha256:
                raise VerificationError(f"{file.source} has changed since it was verified: download the release again")
            known[file.name] = operation
        return known[file.name]

    def _persist(self, call: Callable[[], Result]) -> Result:
        def explained() -> Result:
            with explaining_hub(self._repository):
                return call()

        return self._patience.persist(
            explained,
            HubSilentError,
            lambda error, attempt: True,
            lambda error, wait: self._report(f"{error}; again in {wait:.0f} s"),
        )
