"""The cloud's network: a bridge in the bed's own namespace, and a namespace and a cable for each machine.

Nothing of it exists outside: the host's addresses and routes stay as they are, so real ones can be used in here.
"""

import subprocess
from pathlib import Path

BRIDGE = "cloud0"
GATEWAY = "172.31.0.1"
"""The bed itself, as machines see it. 172.31.0.0/16 is the default network of each region of an account."""

NETWORK_BITS = 16
METADATA = "169.254.169.254"
SKYPILOT_PORT = "46580"
PROBED = ("8.8.8.8", "1.1.1.1")
"""Addresses that SkyPilot probes to see whether it is online."""


def raise_network() -> None:
    """Make the bridge and the addresses of the bed's own servers."""
    # Otherwise the kernel may lend SkyPilot's port to a client before SkyPilot takes it.
    Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text(SKYPILOT_PORT, encoding="utf-8")
    _ip("link", "set", "lo", "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", f"{GATEWAY}/{NETWORK_BITS}", "dev", BRIDGE)
    for address in (METADATA, *PROBED):
        _ip("address", "add", f"{address}/32", "dev", "lo")
    _ip("link", "set", BRIDGE, "up")


def connect(machine: str, private: str, public: str | None) -> None:
    """Give a machine a network namespace named like it, with its two addresses, joined to the bridge."""
    cable = _cable(machine)
    _ip("netns", "add", machine)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", machine)
    _ip("link", "set", cable, "master", BRIDGE, "up")
    _ip("-netns", machine, "link", "set", "lo", "up")
    _ip("-netns", machine, "address", "add", f"{private}/{NETWORK_BITS}", "dev", "eth0")
    _ip("-netns", machine, "link", "set", "eth0", "up")
    # `onlink`, since a machine without a subnet has an address from another network than the gateway's.
    default = ["-netns", machine, "route", "add", "default", "via", GATEWAY, "dev", "eth0", "onlink"]
    if public:
        _ip("-netns", machine, "address", "add", f"{public}/32", "dev", "eth0")
        _ip("route", "add", f"{public}/32", "dev", BRIDGE)
        # Private addresses repeat from region to region, so a machine's requests come from its public one.
        default += ["src", public]
    _ip(*default)


def disconnect(machine: str, public: str | None) -> None:
    """Take a machine off the network, at once."""
    _ip("link", "delete", _cable(machine))
    _ip("netns", "delete", machine)
    if public:
        _ip("route", "delete", f"{public}/32", "dev", BRIDGE)


def _cable(machine: str) -> str:
    """Name of a machine's device on the bridge: at most 15 characters, the kernel's limit."""
    return f"to-{machine[-12:]}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
