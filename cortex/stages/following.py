"""The stages of a run on a machine that trains with others and does not lead them: as node 0 says, nothing kept."""

import shutil
from collections.abc import Iterator, Sequence

from cortex.artifacts.artifact import find
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import Store
from cortex.process import terminable
from cortex.runs.base_model import base_artifact
from cortex.runs.context import RunContext, artifact_prefix, output_folder
from cortex.runs.gang_follower import Follower
from cortex.runs.gpus import require_gpus
from cortex.runs.ledger import UnwrittenLedger
from cortex.runs.nodes import Node
from cortex.runs.profile import Profile
from cortex.runs.run_secret import RunSecret
from cortex.runs.stages import find_stage
from cortex.settings import Settings


def follow_stages(
    names: Sequence[str], run: str, profile: Profile, store: Store, settings: Settings, node: Node
) -> Iterator[tuple[str, bool]]:
    """Do this machine's share of each stage that node 0 begins, until it ends.

    Raises:
        CortexError: node 0 ended so, or is gone; or nothing came of it here, which node 0 was told.
    """
    secret = RunSecret.of(run, settings)
    wanted = [name for name in names if find_stage(name).wanted(profile)]

    def over() -> bool:
        return all(find(store, artifact_prefix(run, name)) for name in wanted)

    follower = Follower.join(node, secret, over)
    if follower is None:
        return
    # An epoch that nobody ever takes: whatever would write on the strength of it is refused.
    lease, ledger = Lease(store, run, 0, ""), UnwrittenLedger(store, run, 0)
    context = RunContext(run, profile, store, settings.work(run), lease, ledger, secret, gang=follower)
    with follower:
        while name := follower.begun():
            _do(context, name)
            yield name, False


def _do(context: RunContext, name: str) -> None:
    stage = find_stage(name)
    output = output_folder(context.work, name)
    with terminable():
        require_gpus(name, context.profile.hardware)
        for needed in stage.inputs(context.profile):
            context.artifact(needed)  # from the bucket, verified
        base_artifact(context)
        context.folder(name)
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        stage.function(context, output)
    shutil.rmtree(context.folder(name))
