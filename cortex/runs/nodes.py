"""The machines that train one stage together: this machine's rank, as SkyPilot sets it, and a check of their number.

SkyPilot starts the same command on each of a task's `num_nodes` machines, and numbers them. Rank 0 leads.
"""

import fcntl
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.runs.stage_list import TRAINERS

ADDRESSES, RANK = "SKYPILOT_NODE_IPS", "SKYPILOT_NODE_RANK"
"""Variables that SkyPilot sets for a task's program: the addresses of all its machines, one a line, in the order of
their ranks; and this machine's own rank."""

_SIOCGIFADDR = 0x8915
"""Linux's request for an interface's IPv4 address: netdevice(7)."""


@dataclass(frozen=True)
class Node:
    """One of a task's machines."""

    rank: int = 0
    addresses: tuple[str, ...] = ("127.0.0.1",)
    """The addresses of all machines, by rank."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """This machine; a single one if the variables are not set.

        Raises:
            ConfigError: the rank is none, or is not among the addresses.
        """
        addresses = tuple(environment.get(ADDRESSES, "").split())
        if len(addresses) < 2:
            return cls()
        rank = environment.get(RANK, "")
        if not (rank.isascii() and rank.isdecimal() and int(rank) < len(addresses)):
            raise ConfigError(f"{RANK} is {rank!r}, where {ADDRESSES} names {len(addresses)} machines: set 0 to less")
        return cls(int(rank), addresses)

    @property
    def count(self) -> int:
        return len(self.addresses)

    @property
    def leads(self) -> bool:
        """True for the node that holds the lease: it alone writes to the bucket."""
        return self.rank == 0

    def network_variables(self) -> dict[str, str]:
        """Variables that make gloo and NCCL use the network interface by which the other nodes reach this machine.

        Without them they take the interface of the host's name, which in a container is often loopback.
        """
        if self.count == 1:
            return {}
        name = interface_of(self.addresses[self.rank])
        return {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name} if name else {}


def require_nodes(node: Node, stages: Sequence[str], profile: Profile) -> None:
    """Return if these stages may run on this task's number of machines.

    Raises:
        ConfigError: the profile trains on another number, or a stage cannot run on several machines.
    """
    wanted = profile.hardware.nodes
    alone = [name for name in stages if name not in TRAINERS]
    if node.count > 1 and alone:
        raise ConfigError(
            f"{' and '.join(alone)} would run on {node.count} machines at once: `num_nodes` is for tasks that do "
            f"nothing but train ({', '.join(TRAINERS)}); remove it from this one"
        )
    if len(alone) < len(stages) and node.count != wanted:
        raise ConfigError(
            f"profile {profile.name} trains on {wanted} machine{'s' if wanted > 1 else ''} (hardware.nodes), and this "
            f"task has {node.count}: launch it with `cortex launch`, which sets `num_nodes`, or change the profile"
        )


def interface_of(address: str) -> str | None:
    """The name of this machine's network interface that has this IPv4 address; None if none has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has no IPv4 address
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None
