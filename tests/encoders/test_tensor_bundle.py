"""TensorFlow checkpoints: read as they were written, and refused when truncated, damaged or of another kind."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.checkpoints.tensor_bundle import read_tensor_bundle
from encoders.errors import WeightsError

# A writer of tensor bundles, only as good as the tests need.


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def message(fields: dict[int, int | bytes]) -> bytes:
    return b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields.items()
    )


def block(entries: list[tuple[bytes, bytes]], *, compression: int = 0) -> bytes:
    body, previous = b"", b""
    for key, value in entries:
        shared = next((i for i, (a, b) in enumerate(zip(previous, key, strict=False)) if a != b), len(previous))
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    return body + struct.pack("<II", 0, 1) + bytes([compression]) + bytes(4)


def bundle(arrays: dict[str, NDArray[np.generic]], *, compression: int = 0, shard: int = 0) -> tuple[bytes, bytes]:
    types = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "uint8": 4}
    data, entries = b"", [(b"", message({1: 1}))]
    for name in sorted(arrays):
        array = arrays[name]
        shape = b"".join(message({2: message({1: size})}) for size in array.shape)
        entry = message({1: types[array.dtype.name], 2: shape, 3: shard, 4: len(data), 5: array.nbytes})
        entries.append((name.encode(), entry + bytes([6 << 3 | 5]) + bytes(4)))
        data += array.tobytes()
    half = len(entries) // 2
    blocks = [block(entries[:half], compression=compression), block(entries[half:], compression=compression)]
    handles = [varint(0) + varint(len(blocks[0]) - 5), varint(len(blocks[0])) + varint(len(blocks[1]) - 5)]
    top = block([(b"a", handles[0]), (b"z", handles[1])])
    start = len(blocks[0]) + len(blocks[1])
    footer = (varint(0) + varint(0) + varint(start) + varint(len(top) - 5)).ljust(40, b"\0")
    return b"".join(blocks) + top + footer + (0xDB4775248B80FB57).to_bytes(8, "little"), data


@pytest.fixture
def arrays(rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    return {
        "conv2d/kernel": rng.standard_normal((7, 38, 1, 4)).astype(np.float32),
        "conv2d/bias": rng.standard_normal(4).astype(np.float32),
        "conv2d_1/bias": rng.standard_normal(300),
        "global_step": np.array(12_345_678_901),
    }


def test_a_tensor_bundle_is_read_as_it_was_written(arrays: dict[str, NDArray[np.generic]]) -> None:
    read = read_tensor_bundle(*bundle(arrays))
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_a_truncated_tensor_bundle_is_refused(arrays: dict[str, NDArray[np.generic]]) -> None:
    index, data = bundle(arrays)
    for length in range(len(index)):
        with pytest.raises(WeightsError):
            read_tensor_bundle(index[:length], data)
    with pytest.raises(WeightsError, match="does not fit"):
        read_tensor_bundle(index, data[:-1])


def test_a_damaged_tensor_bundle_never_fails_otherwise(
    arrays: dict[str, NDArray[np.generic]], rng: np.random.Generator
) -> None:
    index, data = bundle(arrays)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(index)
        for position in rng.integers(len(index) - 8, size=3):
            damaged[position] = rng.integers(256)
        try:
            read_tensor_bundle(bytes(damaged), data)
        except WeightsError:
            refused += 1
    assert refused > 1000


def test_unsupported_tensor_bundles_are_refused(arrays: dict[str, NDArray[np.generic]]) -> None:
    with pytest.raises(WeightsError, match="no table footer"):
        read_tensor_bundle(b"something else" * 10, b"")
    with pytest.raises(WeightsError, match="compressed"):
        read_tensor_bundle(*bundle(arrays, compression=1))
    with pytest.raises(WeightsError, match="shard 1"):
        read_tensor_bundle(*bundle(arrays, shard=1))
    with pytest.raises(WeightsError, match="type 4"):
        read_tensor_bundle(*bundle({"picture": np.zeros(3, np.uint8)}))
