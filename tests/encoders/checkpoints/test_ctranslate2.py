"""CTranslate2 models: read as they were written, and refused when truncated, damaged or of another kind."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.checkpoints.ctranslate2 import read_ctranslate2
from encoders.errors import WeightsError

DTYPES = ("float32", "int8", "int16", "int32", "float16")


def text(value: str) -> bytes:
    return struct.pack("<H", len(value.encode()) + 1) + value.encode() + b"\0"


def variable(name: str, array: NDArray[np.generic]) -> bytes:
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return text(name) + shape + struct.pack("<BI", DTYPES.index(array.dtype.name), array.nbytes) + array.tobytes()


def model(
    arrays: dict[str, NDArray[np.generic]], aliases: dict[str, str], *, version: int = 6, name: str = "WhisperSpec"
) -> bytes:
    header = struct.pack("<I", version) + text(name) + struct.pack("<I", 3)
    variables = b"".join(variable(*item) for item in arrays.items())
    others = b"".join(text(alias) + text(target) for alias, target in aliases.items())
    return header + struct.pack("<I", len(arrays)) + variables + struct.pack("<I", len(aliases)) + others


@pytest.fixture
def arrays(rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    return {
        "encoder/conv1/weight": rng.normal(size=(4, 3, 2)).astype(np.float16),
        "encoder/conv1/bias": rng.normal(size=4).astype(np.float32),
        "decoder/heads": np.array([[1, -2]], np.int16),
        "decoder/scale": np.array(7, np.int32),
        "decoder/small": np.array([-128, 127], np.int8),
    }


ALIASES = {"decoder/projection/bias": "encoder/conv1/bias"}


def test_variables_and_aliases_are_read_as_they_were_written(arrays: dict[str, NDArray[np.generic]]) -> None:
    read = read_ctranslate2(model(arrays, ALIASES), "WhisperSpec")
    assert read.keys() == arrays.keys() | ALIASES.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    np.testing.assert_array_equal(read["decoder/projection/bias"], arrays["encoder/conv1/bias"])


def test_every_truncated_model_is_refused(arrays: dict[str, NDArray[np.generic]]) -> None:
    content = model(arrays, ALIASES)
    for length in range(len(content)):
        with pytest.raises(WeightsError):
            read_ctranslate2(content[:length], "WhisperSpec")


def test_what_is_left_over_is_refused(arrays: dict[str, NDArray[np.generic]]) -> None:
    with pytest.raises(WeightsError, match="left over"):
        read_ctranslate2(model(arrays, ALIASES) + b"\0", "WhisperSpec")


def test_other_models_and_versions_are_named(arrays: dict[str, NDArray[np.generic]]) -> None:
    with pytest.raises(WeightsError, match=r"'TransformerSpec' in binary version 6; WhisperSpec in version 6 was"):
        read_ctranslate2(model(arrays, {}, name="TransformerSpec"), "WhisperSpec")
    with pytest.raises(WeightsError, match=r"in binary version 5; WhisperSpec in version 6 was expected"):
        read_ctranslate2(model(arrays, {}, version=5), "WhisperSpec")
    with pytest.raises(WeightsError):
        read_ctranslate2(b"PK\x03\x04 something else that is long enough to be read", "WhisperSpec")


def test_an_alias_of_nothing_and_an_unknown_type_are_refused(arrays: dict[str, NDArray[np.generic]]) -> None:
    with pytest.raises(WeightsError, match="decoder/gone"):
        read_ctranslate2(model(arrays, {"alias": "decoder/gone"}), "WhisperSpec")
    whole = model({"x": np.zeros(1, np.float32)}, {})
    at = whole.index(text("x")) + len(text("x")) + 5
    with pytest.raises(WeightsError, match="damaged"):
        read_ctranslate2(whole[:at] + b"\x09" + whole[at + 1 :], "WhisperSpec")


def test_a_size_that_is_not_the_shapes_is_refused() -> None:
    whole = model({"x": np.zeros(2, np.float32)}, {})
    at = whole.index(text("x")) + len(text("x")) + 6
    with pytest.raises(WeightsError, match=r"x has 9 bytes for \[2\] of float32"):
        read_ctranslate2(whole[:at] + struct.pack("<I", 9) + whole[at + 4 :] + b"\0", "WhisperSpec")


def test_a_damaged_model_never_fails_otherwise(
    arrays: dict[str, NDArray[np.generic]], rng: np.random.Generator
) -> None:
    content = model(arrays, ALIASES)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        for position in rng.integers(len(content), size=3):
            damaged[position] = rng.integers(256)
        try:
            read_ctranslate2(bytes(damaged), "WhisperSpec")
        except WeightsError:
            refused += 1
    assert refused > 1000
