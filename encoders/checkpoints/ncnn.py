"""Read the weights of a small ncnn network: what of its layers has any, in their order.

``param`` is text, a layer a line (type, name, counts and names of inputs and outputs, then ``key=value``); ``bin``
holds the layers' weights one after the other, each behind a tag that says whether it is in half precision. Format:
ncnn's ``docs/developer-guide/param-and-model-file-structure.md``; keys are its Gemm's and ConvolutionDepthWise1D's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HALF = 0x01306B47
_SINGLE = 0
_MAGIC = "7767517"
_BIAS_BY_COLUMN = "4"


def read_ncnn(param: str, weights: bytes) -> list[list[NDArray[np.float32]]]:
    """Read the weights of each layer that has any.

    Returns
    -------
    A layer each, in their order: matrix [n_out, n_in] of a product and, where it has one, bias [n_out]; or the taps
    [channels, kernel] of a convolution by channel.

    Raises
    ------
    WeightsError
        If either is truncated or foreign, or something is left over.
    """
    lines = param.splitlines()
    if not lines or lines[0] != _MAGIC:
        raise WeightsError("not an ncnn network: no magic number")
    stream = _Stream(weights)
    layers = []
    try:
        for line in lines[2:]:
            kind, *fields = line.split() or [""]
            options = dict(field.split("=", 1) for field in fields if "=" in field)
            if kind == "Gemm":
                n_out, n_in = int(options["8"]), int(options["9"])
                layer = [stream.array(n_out * n_in).reshape(n_out, n_in)]
                layers.append([*layer, stream.array(n_out)] if options["10"] == _BIAS_BY_COLUMN else layer)
            elif kind == "ConvolutionDepthWise1D":
                layers.append([stream.array(int(options["6"])).reshape(int(options["0"]), int(options["1"]))])
    except (KeyError, ValueError, struct.error) as error:
        raise WeightsError(f"damaged ncnn network: {error}") from error
    if not stream.ended:
        raise WeightsError("damaged ncnn network: weights are left over")
    return layers


class _Stream:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._content)

    def array(self, count: int) -> NDArray[np.float32]:
        (tag,) = struct.unpack_from("<I", self._content, self._at)
        if tag not in (_HALF, _SINGLE):
            raise ValueError(f"weights of type {tag:#x}")
        dtype = np.dtype("<f2" if tag == _HALF else "<f4")
        values = np.frombuffer(self._content, dtype, count, self._at + 4)
        self._at += 4 + -(-count * dtype.itemsize // 4) * 4
        return values.astype(np.float32)
