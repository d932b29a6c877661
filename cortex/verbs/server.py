"""Verbs for SkyPilot's server in a stack's network: open the tunnel to it, so that `sky` itself works, and close it."""

from typing import TYPE_CHECKING

import typer

from cortex.errors import UsageError

if TYPE_CHECKING:
    from cortex.fleet.clouds.tunnel import Tunnel

app = typer.Typer(help="SkyPilot's server in the cloud: open the tunnel to it, and close it.", no_args_is_help=True)


@app.command()
def connect() -> None:
    """Open the tunnel to the server, so that `sky` reaches it; AWS closes it 20 minutes after its last use."""
    tunnel = _tunnel()
    opened = tunnel.open()
    print(f"http://127.0.0.1:{tunnel.port} {'now leads' if opened else 'leads already'} to {tunnel.instance}")


@app.command()
def disconnect() -> None:
    """Close the tunnel to the server; runs go on."""
    tunnel = _tunnel()
    closed = tunnel.close()
    print(f"port {tunnel.port} {'no longer leads' if closed else 'did not lead'} to {tunnel.instance}")


def _tunnel() -> "Tunnel":
    from cortex.fleet.clouds.tunnel import find_tunnel
    from cortex.settings import Settings

    tunnel = find_tunnel(Settings())
    if tunnel is None:
        raise UsageError("no server of a stack is named here: `make infra-up` raises one, and writes it to .env")
    return tunnel
