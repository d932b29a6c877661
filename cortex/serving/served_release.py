"""A release to serve: verified byte for byte, its signer known, and one of its copies of the weights chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.trust import Trust, read_signature
from cortex.artifacts.verify import verify
from cortex.domains.dataset_description import describe_part, read_description
from cortex.domains.domain import DESCRIPTION
from cortex.domains.endpoint import Endpoint
from cortex.domains.view import Judged
from cortex.errors import DataError, UsageError
from cortex.evaluation.record import JSON_NAME, Evaluation
from cortex.limits import EVALUATION_BYTES, RECORD_BYTES, read_file
from cortex.models.copies import read_summary, weight_folders
from cortex.models.model_files import ADAPTER
from cortex.profiles.profile import Profile
from cortex.runs.reports import report_folders
from cortex.section import nearest
from cortex.settings import Settings


@dataclass(frozen=True)
class ServedRelease:
    """A release that is fit to be loaded."""

    folder: Path
    copy: str
    """The folder of the served weights within it."""
    manifest: str
    """Digest of its manifest."""
    signer: str
    """Its signer, in words."""
    profile: Profile
    endpoints: Mapping[str, Endpoint]
    """By domain."""
    judged: Mapping[str, Judged]
    """The judges' records of the served copy, by domain."""

    @property
    def name(self) -> str:
        """The model's name in the API."""
        return self.profile.name

    @property
    def weights(self) -> Path:
        return self.folder / self.copy


def open_release(folder: Path, trust: Trust, settings: Settings, copy: str = "model") -> ServedRelease:
    """Verify a release, and read what serving it needs. Other copies of the weights may be absent.

    Raises:
        VerificationError: a byte differs from the manifest.
        RefusedError: a trusted signature is required, and there is none.
        UsageError: the release holds no such copy.
        DataError: it was made before releases described their data.
    """
    manifest = Manifest.read(folder)
    found = verify(folder, manifest, left_out=weight_folders(manifest) - {copy})
    found.require()
    if found.left_out:
        logger.info(str(found))
    signer = trust.signer(manifest, read_signature(folder))
    profile = Profile.from_json(read_file(folder / "profile.json", RECORD_BYTES), str(folder / "profile.json"))
    trust.require(profile.name, signer)
    made = ["model", ADAPTER, *(copy.name for copy in read_summary(folder).copies if copy.accepted)]
    copies = [name for name in made if (folder / name).is_dir()]  # a release may hold some of them alone
    if copy not in copies:
        raise UsageError(f"{folder} holds no copy {copy!r}: {nearest(copy, copies)}")
    if not (folder / DESCRIPTION).is_file():
        raise DataError(f"{folder} holds no {DESCRIPTION}, which a service asks by: release the run again")
    described = read_description(folder)
    endpoints: dict[str, Endpoint] = {}
    judged: dict[str, Judged] = {}
    for name, report in report_folders(profile.domain).items():
        part = profile.domain.parts()[name]
        endpoints[name] = part.endpoint(describe_part(described, name), profile.seed, settings)
        file = folder / report / JSON_NAME
        evaluation = Evaluation.from_json(read_file(file, EVALUATION_BYTES), str(file))
        # A copy was judged under its own name, the full weights under that of the training that made them.
        judged[name] = Judged(evaluation, copy if copy in evaluation.models else evaluation.verdict.model)
        endpoints[name].record = judged[name].evaluated.details
    return ServedRelease(folder, copy, manifest.digest, str(signer), profile, endpoints, judged)
