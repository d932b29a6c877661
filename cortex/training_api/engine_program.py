"""SkyRL's engine as a program, whose checkpoints are in the bucket before a client hears that they are saved:
`python -m cortex.training_api.engine_program SERVICE [SkyRL's own options]`, which the server starts.
"""

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from skyrl.tinker.config import EngineConfig, add_model
from skyrl.tinker.engine import TinkerEngine
from skyrl.tinker.types import CheckpointType

from cortex.artifacts.open_store import open_store
from cortex.settings import Settings
from cortex.training_api.kept_checkpoints import KeptCheckpoints
from cortex.training_api.skyrl_state import PURPOSES, checkpoint_file, read_checkpoint


class KeepingEngine(TinkerEngine):
    """SkyRL's engine. A checkpoint that the bucket does not take has failed, and its client is told so."""

    def __init__(self, config: EngineConfig, kept: KeptCheckpoints) -> None:
        super().__init__(config)
        self._kept = kept

    @contextmanager
    def _checkpoint_status_context(
        self, model_id: str, checkpoint_id: str, checkpoint_type: CheckpointType
    ) -> Generator[None]:
        with super()._checkpoint_status_context(model_id, checkpoint_id, checkpoint_type):
            yield
            root = Path(str(self.config.checkpoints_base))
            file = checkpoint_file(root, model_id, PURPOSES[checkpoint_type], checkpoint_id)
            if file.exists():  # weights that are only to be sampled from once may never be written
                self._kept.keep(read_checkpoint(self.db_engine, model_id, checkpoint_type, checkpoint_id), file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service")
    add_model(parser, EngineConfig)
    options = vars(parser.parse_args())
    kept = open_kept(options.pop("service"), Path(str(options["checkpoints_base"])))
    KeepingEngine(EngineConfig.model_validate(options), kept).run()


def open_kept(service: str, root: Path) -> KeptCheckpoints:
    """The kept checkpoints of a service, for a server that writes its own below `root`."""
    return KeptCheckpoints(open_store(Settings().bucket_url), service, root.parent / "kept")


if __name__ == "__main__":
    main()
