"""TensorBoard's event files, written without TensorBoard, which no image but SFT's has.

The format: records of TFRecord (tensorflow/core/lib/io/record_writer.h), each an `Event` message
(tensorflow/core/util/event.proto), of which a curve needs four fields, and a table of texts the tensor of
tensorflow/core/framework/summary.proto besides. The test reads them with TensorBoard's own
reader.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cortex.tracking.curve import Point
from cortex.tracking.sample_tables import Rows, table_name
from cortex.tracking.tracker import Training

FILE_VERSION = "brain.Event:2"

STRINGS = 7
"""DT_STRING of tensorflow/core/framework/types.proto."""


class TensorBoard:
    """One file a stage. Each attempt rewrites it without the steps that earlier ones made after its checkpoint."""

    def __init__(self, training: Training) -> None:
        self._folder, self._name = training.folder / "tensorboard", training.name
        self._path, self._rows = self._folder, training.rows

    def open(self) -> int:
        self._path = write_curve([], self._folder, self._name)
        return -1

    def draw(self, points: Sequence[Point]) -> None:
        with self._path.open("ab") as file:
            file.write(_records(points, self._rows))

    def close(self) -> None:
        pass


def write_curve(
    points: Sequence[Point], folder: Path, name: str, rows: Callable[[Point], Rows] = lambda point: []
) -> Path:
    """Draw a whole curve into an event file of a folder, in place of an earlier one of this name; its path.

    `rows` are the answers that were sampled for a point.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # TensorBoard takes a name that holds `tfevents` for its own, and sorts by what follows.
    path = folder / f"events.out.tfevents.0000000000.{name}"
    path.write_bytes(_record(_double(1, 0.0) + _bytes(3, FILE_VERSION.encode())) + _records(points, rows))
    return path


def _records(points: Sequence[Point], rows: Callable[[Point], Rows]) -> bytes:
    return b"".join(_record(_event(point, rows(point))) for point in points)


def _event(point: Point, rows: Rows) -> bytes:
    shown = [(name, _float(2, value)) for name, value in point.values.items()]
    if rows:
        shown.append((table_name(point), _table(rows)))
    summary = b"".join(_bytes(1, _bytes(1, name.encode(errors="replace")) + value) for name, value in shown)
    return _double(1, point.time) + _varint_field(2, point.step) + _bytes(5, summary)


def _table(rows: Rows) -> bytes:
    """The `tensor` and `metadata` of a value that TensorBoard's plug-in for texts shows: it renders a matrix of texts
    as a table, each cell being Markdown, of which it removes what a browser would run."""
    cells = [list(rows[0]), *(row.values() for row in rows)]
    shape = b"".join(_bytes(2, _varint_field(1, size)) for size in (len(cells), len(rows[0])))
    texts = b"".join(_bytes(8, str(cell).encode(errors="replace")) for line in cells for cell in line)
    tensor = _varint_field(1, STRINGS) + _bytes(2, shape) + texts
    return _bytes(8, tensor) + _bytes(9, _bytes(1, _bytes(1, b"text")))


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
    # A number too large for 32 bits is written as infinity, as by TensorBoard's own writer.
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return _varint(number << 3 | 5) + packed


def _checksums() -> Iterator[int]:
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
        yield value


_CRC32C = tuple(_checksums())
"""Castagnoli's polynomial, which no module of the standard library computes."""


def _masked_checksum(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
