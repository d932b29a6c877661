"""The stages of a run on a follower: a machine that trains together with node 0, which leads and keeps the results."""

import shutil
from collections.abc import Iterator, Sequence

from cortex.artifacts.artifact import find
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import Store
from cortex.process import terminable
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext, artifact_prefix, output_folder
from cortex.runs.gang_follower import Follower
from cortex.runs.gpus import require_gpus
from cortex.runs.ledger import UnwrittenLedger
from cortex.runs.nodes import Node
from cortex.runs.run_secret import RunSecret
from cortex.runs.stage_list import find_stage
from cortex.settings import Settings
from cortex.stages.loaded_models import loaded_models
from cortex.stages.stage_function import stage_function


def follow_stages(
    names: Sequence[str], run: str, profile: Profile, store: Store, settings: Settings, node: Node
) -> Iterator[tuple[str, bool]]:
    """Do this machine's share of each stage that node 0 begins, until node 0 ends.

    Raises:
        CortexError: node 0 ended with an error, or is gone; or this machine's share failed, and node 0 was told.
    """
    secret = RunSecret.of(run, settings)
    wanted = [name for name in names if find_stage(name).wanted(profile)]

    def over() -> bool:
        return all(find(store, artifact_prefix(run, name)) for name in wanted)

    follower = Follower.join(node, secret, over)
    if follower is None:
        return
    # Epoch 0 is never taken, so anything that would write under this lease is refused.
    lease, ledger = Lease(store, run, 0, ""), UnwrittenLedger(store, run, 0)
    context = RunContext(run, profile, store, settings.work(run), lease, ledger, secret, gang=follower)
    with follower:
        while name := follower.await_stage():
            _run_share(context, name)
            yield name, False


def _run_share(context: RunContext, name: str) -> None:
    stage = find_stage(name)
    output = output_folder(context.work, name)
    with terminable():
        require_gpus(name, context.profile.hardware)
        for needed in stage.inputs(context.profile):
            context.artifact(needed)  # from the bucket, verified
        loaded_models(context, name, {})
        context.folder(name)
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        stage_function(name)(context, output)
    shutil.rmtree(context.folder(name))
