"""TensorBoard's event files, written without TensorBoard, which no image but SFT's has.

The format: records of TFRecord (tensorflow/core/lib/io/record_writer.h), each an `Event` message
(tensorflow/core/util/event.proto), of which a curve needs four fields. The test reads them with TensorBoard's own
reader.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from cortex.training.tracking.curve import Point
from cortex.training.tracking.tracker import Training

FILE_VERSION = "brain.Event:2"


class TensorBoard:
    """One file a stage, written anew by each attempt, without what an earlier one measured beyond its checkpoint."""

    def __init__(self, training: Training) -> None:
        self._folder, self._name = training.folder / "tensorboard", training.name
        self._path = self._folder

    def open(self) -> int:
        self._path = write_curve([], self._folder, self._name)
        return -1

    def draw(self, points: Sequence[Point]) -> None:
        with self._path.open("ab") as file:
            file.write(_records(points))

    def close(self) -> None:
        pass


def write_curve(points: Sequence[Point], folder: Path, name: str) -> Path:
    """Draw a whole curve into an event file of a folder, in place of an earlier one of this name; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    # TensorBoard takes a name that holds `tfevents` for its own, and sorts by what follows.
    path = folder / f"events.out.tfevents.0000000000.{name}"
    path.write_bytes(_record(_double(1, 0.0) + _bytes(3, FILE_VERSION.encode())) + _records(points))
    return path


def _records(points: Sequence[Point]) -> bytes:
    return b"".join(_record(_event(point)) for point in points)


def _event(point: Point) -> bytes:
    summary = b"".join(
        _bytes(1, _bytes(1, name.encode(errors="replace")) + _float(2, value)) for name, value in point.values.items()
    )
    return _double(1, point.time) + _varint_field(2, point.step) + _bytes(5, summary)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked_checksum(length) + data + _masked_checksum(data)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _float(number: int, value: float) -> bytes:
    # A number that is too large for 32 bits is drawn as infinite, as TensorBoard's own writer would.
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return _varint(number << 3 | 5) + packed


def _table() -> Iterator[int]:
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
        yield value


_CRC32C = tuple(_table())
"""Castagnoli's polynomial, which no module of the standard library computes."""


def _masked_checksum(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
