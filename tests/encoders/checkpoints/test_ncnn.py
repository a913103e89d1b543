"""Weights of ncnn networks: read as they were written, and refused when truncated, damaged or foreign."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.checkpoints.ncnn import read_ncnn
from encoders.errors import WeightsError

Array = NDArray[np.float32]
HALF = 0x01306B47


def written(values: Array, *, half: bool = False) -> bytes:
    """Weights as ncnn stores them: a tag, the values, and zeros up to four bytes."""
    content = values.astype("<f2" if half else "<f4").tobytes()
    return struct.pack("<I", HALF if half else 0) + content + bytes(-len(content) % 4)


def gemm(name: str, n_out: int, n_in: int, *, bias: bool) -> str:
    return f"Gemm {name} 1 1 in_{name} out_{name} 2=0 3=1 4=0 5=1 6=1 8={n_out} 9={n_in} 10={4 if bias else -1}"


def network(*lines: str) -> str:
    return "\n".join(["7767517", f"{len(lines) + 2} {len(lines) + 2}", "Input in0 0 1 in0", *lines, "ReLU r 1 1 a b"])


@pytest.fixture
def arrays(rng: np.random.Generator) -> list[Array]:
    return [rng.normal(size=shape).astype(np.float32) for shape in ((3, 5), (3,), (2, 3), (4, 7))]


PARAM = network(
    gemm("one", 3, 5, bias=True),
    gemm("two", 2, 3, bias=False),
    "ConvolutionDepthWise1D taps 1 1 x y 0=4 1=7 6=28 7=4",
)


def bin_of(arrays: list[Array]) -> bytes:
    matrix, bias, other, taps = arrays
    return written(matrix, half=True) + written(bias) + written(other) + written(taps, half=True)


def test_layers_with_weights_are_read_in_their_order(arrays: list[Array]) -> None:
    layers = read_ncnn(PARAM, bin_of(arrays))
    assert [len(layer) for layer in layers] == [2, 1, 1]
    for read, array, tolerance in zip(
        [array for layer in layers for array in layer], arrays, (2e-3, 0, 0, 2e-3), strict=True
    ):
        assert read.shape == array.shape
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, array, atol=tolerance)


def test_every_truncated_file_is_refused(arrays: list[Array]) -> None:
    content = bin_of(arrays)
    for length in range(len(content)):
        with pytest.raises(WeightsError, match="damaged ncnn network"):
            read_ncnn(PARAM, content[:length])


def test_what_is_left_over_is_refused(arrays: list[Array]) -> None:
    with pytest.raises(WeightsError, match="left over"):
        read_ncnn(PARAM, bin_of(arrays) + bytes(4))


@pytest.mark.parametrize("param", ["", "7767518\n1 1", "{}", "\n7767517"])
def test_another_format_is_refused(param: str) -> None:
    with pytest.raises(WeightsError, match="magic number"):
        read_ncnn(param, b"")


def test_weights_of_another_type_are_refused(arrays: list[Array]) -> None:
    quantised = struct.pack("<I", 0x000D4B38) + bin_of(arrays)[4:]
    with pytest.raises(WeightsError, match="type 0xd4b38"):
        read_ncnn(PARAM, quantised)


@pytest.mark.parametrize(
    "line", ["Gemm one 1 1 a b 8=3", "Gemm one 1 1 a b 8=x 9=5 10=4", "ConvolutionDepthWise1D t 1 1 a b 0=5 1=7 6=28"]
)
def test_a_layer_that_does_not_say_its_size_is_refused(line: str, arrays: list[Array]) -> None:
    with pytest.raises(WeightsError, match="damaged ncnn network"):
        read_ncnn(network(line), bin_of(arrays))


def test_a_damaged_network_never_fails_otherwise(arrays: list[Array], rng: np.random.Generator) -> None:
    refused = 0
    for _ in range(500):
        damaged = bytearray(PARAM.encode())
        for position in rng.integers(len(damaged), size=3):
            damaged[position] = rng.integers(32, 127)
        try:
            read_ncnn(damaged.decode(), bin_of(arrays))
        except WeightsError:
            refused += 1
    assert refused > 50
