"""The state of SkyRL's server that outlives a machine: its rows on checkpoints, and where it keeps their files."""

from pathlib import Path

from skyrl.tinker.db_models import CheckpointDB, CheckpointStatus, ModelDB, SessionDB
from skyrl.tinker.types import CheckpointType
from sqlalchemy import Engine
from sqlmodel import Session, SQLModel

from cortex.training_api.kept_checkpoints import Checkpoint, KeptCheckpoints, Purpose

TYPES: dict[Purpose, CheckpointType] = {"training": CheckpointType.TRAINING, "sampler": CheckpointType.SAMPLER}
PURPOSES: dict[CheckpointType, Purpose] = {kind: purpose for purpose, kind in TYPES.items()}
RESTORED = "restored"
"""Id of the session and the request that restored models belong to: their own clients are gone."""


def checkpoint_file(root: Path, model: str, purpose: Purpose, name: str) -> Path:
    """The file of a checkpoint, where SkyRL's server writes and reads it."""
    folder = root / model / "sampler_weights" if purpose == "sampler" else root / model
    return folder / f"{name}.tar.gz"


def read_checkpoint(engine: Engine, model: str, kind: CheckpointType, name: str) -> Checkpoint:
    """The account of a checkpoint that the server is about to call complete."""
    with Session(engine) as session:
        row = session.get_one(ModelDB, model)
        return Checkpoint(model=model, purpose=PURPOSES[kind], name=name, base=row.base_model, lora=row.lora_config)  # type: ignore[arg-type]


def restore(engine: Engine, kept: KeptCheckpoints, root: Path) -> int:
    """Fill a new server's database and folder `root` with what is kept, and return the number of checkpoints.

    A client then loads them by the paths that it was given before.

    Raises:
        VerificationError: a checkpoint's bytes are not what its manifest says.
    """
    SQLModel.metadata.create_all(engine)
    count = 0
    with Session(engine) as session:
        session.add(SessionDB(session_id=RESTORED, sdk_version="", status="expired"))
        for checkpoint in kept.all():
            kept.restore(checkpoint, checkpoint_file(root, checkpoint.model, checkpoint.purpose, checkpoint.name))
            session.merge(
                ModelDB(
                    model_id=checkpoint.model,
                    base_model=checkpoint.base,
                    lora_config=dict(checkpoint.lora),
                    status="unloaded",
                    request_id=0,
                    session_id=RESTORED,
                )
            )
            session.add(
                CheckpointDB(
                    model_id=checkpoint.model,
                    checkpoint_id=checkpoint.name,
                    checkpoint_type=TYPES[checkpoint.purpose],
                    status=CheckpointStatus.COMPLETED,
                )
            )
            count += 1
        session.commit()
    return count
