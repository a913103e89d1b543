"""Read the variables of a TensorFlow V2 checkpoint (a tensor bundle) without TensorFlow.

``.index`` is a LevelDB table: data blocks of prefix-compressed keys, an index block of their positions, and a footer.
Its values are protocol buffers: under the empty key a BundleHeaderProto, under each variable's name a BundleEntryProto
with type, shape and position in ``.data-00000-of-00001``. Formats: leveldb ``doc/table_format.md`` and TensorFlow
``core/protobuf/tensor_bundle.proto``. Checksums are not verified: callers pin the hash of the whole file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_LENGTH = 48
_BLOCK_TRAILER_LENGTH = 5
_UNCOMPRESSED = 0
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
"""TensorFlow's DataType numbers of the types that checkpoints of weights hold."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_tensor_bundle(index: bytes, data: bytes) -> dict[str, NDArray[np.generic]]:
    """Read all variables of a checkpoint with one data shard.

    Parameters
    ----------
    index : content of the ``.index`` file
    data : content of the ``.data-00000-of-00001`` file

    Returns
    -------
    Arrays by variable name, copies in the variable's own type and shape.

    Raises
    ------
    WeightsError
        If either is truncated, foreign, compressed, in several shards, or holds another type.
    """
    if len(index) < _FOOTER_LENGTH or not index.endswith(_MAGIC):
        raise WeightsError("not a TensorFlow checkpoint index: no table footer")
    try:
        return {
            name.decode(): _array(_fields(entry), data, name.decode())
            for block in _data_blocks(index)
            for name, entry in _entries(block)
            if name
        }
    except (IndexError, UnicodeDecodeError) as error:
        raise WeightsError("damaged TensorFlow checkpoint index: it points outside itself") from error


def _data_blocks(index: bytes) -> Iterator[bytes]:
    footer = index[-_FOOTER_LENGTH:]
    position = 0
    handle = []
    for _ in range(4):  # offset and size of the meta-index block, then of the index block
        value, position = _varint(footer, position)
        handle.append(value)
    for _, entry in _entries(_block(index, handle[2], handle[3])):
        offset, position = _varint(entry, 0)
        size, _ = _varint(entry, position)
        yield _block(index, offset, size)


def _block(index: bytes, offset: int, size: int) -> bytes:
    if offset + size + _BLOCK_TRAILER_LENGTH > len(index):
        raise IndexError(offset)
    if index[offset + size] != _UNCOMPRESSED:
        raise WeightsError(f"TensorFlow checkpoint index is compressed (type {index[offset + size]}): not supported")
    return index[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value; a key is stored as the length it shares with the one before, and the rest."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise IndexError(end)
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        rest, position = _varint(block, position)
        length, position = _varint(block, position)
        value_start = position + rest
        if shared > len(key) or value_start + length > end:
            raise IndexError(position)
        key = key[:shared] + block[position:value_start]
        position = value_start + length
        yield key, block[value_start:position]


def _array(fields: dict[int, list[int | bytes]], data: bytes, name: str) -> NDArray[np.generic]:
    """Cut one variable out of the data by its BundleEntryProto: 1 dtype, 2 shape, 3 shard, 4 offset, 5 size."""
    dtype, shard, offset, size = (_number(fields, field) for field in (1, 3, 4, 5))
    if dtype not in _DTYPES or shard != 0:
        raise WeightsError(f"TensorFlow variable {name}: type {dtype} in shard {shard} is not supported")
    shape = [_number(_fields(dim), 1) for shapes in fields.get(2, []) for dim in _dimensions(shapes)]
    expected_size = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if size != expected_size or offset + size > len(data):
        place = f"bytes {offset} to {offset + size} of {len(data)}"
        raise WeightsError(f"TensorFlow variable {name}: shape {shape} does not fit {place}")
    return np.frombuffer(data, _DTYPES[dtype], math.prod(shape), offset).reshape(shape).copy()


def _dimensions(shape: int | bytes) -> list[bytes]:
    return [dim for dim in _fields(shape).get(2, []) if isinstance(dim, bytes)]


def _number(fields: dict[int, list[int | bytes]], field: int) -> int:
    value = fields.get(field, [0])[-1]
    if not isinstance(value, int):
        raise IndexError(field)
    return value


def _fields(message: int | bytes) -> dict[int, list[int | bytes]]:
    """Split a protocol buffer into its fields by number; fixed-width ones (checksums) are left out."""
    if isinstance(message, int):
        raise IndexError(message)
    fields: dict[int, list[int | bytes]] = {}
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        value: int | bytes
        value, end = _varint(message, position) if key & 7 in (_VARINT, _BYTES) else (0, position)
        if key & 7 == _BYTES:
            start, end = end, end + int(value)
            value = message[start:end]
        elif key & 7 in (_FIXED32, _FIXED64):
            position = position + (4 if key & 7 == _FIXED32 else 8)
            continue
        if end > len(message):
            raise IndexError(end)
        fields.setdefault(key >> 3, []).append(value)
        position = end
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode a base-128 integer; return it and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
