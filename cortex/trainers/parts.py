"""Checkpoints of several machines: gathered on the first machine, which commits them, and sent back when needed.

Each node's processes write to their own node's disk: random states, and their shards of weights and optimizers.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist

from cortex.artifacts.verify import verify
from cortex.trainers.ranks import barrier

CHUNK_BYTES = 64 * 2**20


class Parts:
    """A process's part in moving checkpoints. All processes of all nodes must construct and call it together."""

    def __init__(self) -> None:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.nodes = int(os.environ.get("GROUP_WORLD_SIZE", "1")) if dist.is_initialized() else 1
        if self.nodes > 1:
            self._rank = dist.get_rank()
            self._senders = [node * local for node in range(1, self.nodes)]
            # A group of its own, since the data lies in host memory, and NCCL's groups carry GPU tensors.
            self._group = dist.new_group([0, *self._senders], backend="gloo")

    def gather(self, folder: Path) -> None:
        """Move the other nodes' files in `folder` to the first node's folder of the same step."""
        if self.nodes == 1:
            return
        if self._rank == 0:
            for sender in self._senders:
                listing = json.loads(self._receive_bytes(sender))
                wanted = [
                    not (folder / name).exists() for name, _ in listing
                ]  # some trainers write a file on each node
                self._send_bytes(bytes(wanted), sender)
                for name, size in (entry for entry, wants in zip(listing, wanted, strict=True) if wants):
                    self._receive_file(folder / name, size, sender)
        elif self._rank in self._senders:
            files = _files(folder)
            self._send_bytes(_listing(files, folder), 0)
            for path, wanted in zip(files, self._receive_bytes(0), strict=True):
                if wanted:
                    self._send_file(path, 0)
            shutil.rmtree(folder)

    def hand_out(self, folder: Path, copy: Path) -> Path:
        """Send the first node's `folder` to each other node. Returns its path on this process's node.

        Raises:
            VerificationError: the copy is not what its manifest says.
        """
        if self.nodes == 1:
            return folder
        if self._rank == 0:
            files = _files(folder)
            for node in self._senders:
                self._send_bytes(_listing(files, folder), node)
                for path in files:
                    self._send_file(path, node)
        elif self._rank in self._senders:
            shutil.rmtree(copy, ignore_errors=True)
            for name, size in json.loads(self._receive_bytes(0)):
                self._receive_file(copy / name, size, 0)
            verify(copy).require()
        barrier()  # a node's other processes load what its first process has received
        return folder if self._rank < self._senders[0] else copy

    def _send_file(self, path: Path, rank: int) -> None:
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                dist.send(torch.frombuffer(bytearray(data), dtype=torch.uint8), rank, group=self._group)

    def _receive_file(self, path: Path, size: int, sender: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for length in _lengths(size):
                chunk = torch.empty(length, dtype=torch.uint8)
                dist.recv(chunk, sender, group=self._group)
                file.write(chunk.numpy().data)

    def _send_bytes(self, data: bytes, rank: int) -> None:
        dist.send(torch.tensor([len(data)]), rank, group=self._group)
        dist.send(torch.frombuffer(bytearray(data), dtype=torch.uint8), rank, group=self._group)

    def _receive_bytes(self, sender: int) -> bytes:
        length = torch.zeros(1, dtype=torch.int64)
        dist.recv(length, sender, group=self._group)
        data = torch.empty(int(length), dtype=torch.uint8)
        dist.recv(data, sender, group=self._group)
        return data.numpy().tobytes()


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _listing(files: list[Path], folder: Path) -> bytes:
    return json.dumps([(str(path.relative_to(folder)), path.stat().st_size) for path in files]).encode()


def _lengths(size: int) -> Iterator[int]:
    """The chunks that a file of this size is sent in."""
    for start in range(0, size, CHUNK_BYTES):
        yield min(CHUNK_BYTES, size - start)
