"""The verb that serves Tinker's API on this machine."""

from typing import Annotated

import typer

from cortex.errors import ConfigError

app = typer.Typer()


@app.command()
def tinker(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The model to train: its name on the hub, or a folder.")],
    service: Annotated[
        str, typer.Option(help="Name of this service's checkpoints in the bucket; a later server goes on with them.")
    ] = "tinker",
    host: Annotated[str, typer.Option(help="The address to listen at. Nobody is asked for a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that share the model.")] = 0,
    adapters: Annotated[int, typer.Option(min=1, help="Adapters in memory at the same time, of all clients.")] = 8,
    rank: Annotated[int, typer.Option(min=1, help="The largest rank of an adapter.")] = 32,
    micro_batch: Annotated[int, typer.Option(min=0, help="Sequences of one forward pass; 0 for all at once.")] = 0,
    idle_minutes: Annotated[float, typer.Option(min=0, help="End after so long without a client; 0 never.")] = 0.0,
) -> None:
    """Serve Tinker's API for one base model: clients train adapters of it, whose checkpoints go into the bucket."""
    from cortex.settings import Settings
    from cortex.training_api.sole_server import sole_server

    try:
        from cortex.training_api.skyrl_server import Offer, serve
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed here: this verb works in the image `tinker` (docs/tinker.md)"
        ) from error
    offer = Offer(base=base, gpus=gpus, adapters=adapters, rank=rank, micro_batch=micro_batch)
    folder = Settings().home / "tinker" / service
    with sole_server(folder):
        serve(service, offer, folder, host=host, port=port, idle_seconds=60 * idle_minutes)
