"""Read the variables of a CTranslate2 model (``model.bin``) without CTranslate2.

A header (binary version, name and revision of the model's specification), then each variable: name, shape, type and
bytes, all little-endian; at last, aliases: further names of variables. Format: CTranslate2's
``python/ctranslate2/specs/model_spec.py``, binary version 6. Callers pin the hash of the whole file.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINARY_VERSION = 6
_DTYPES = ("<f4", "<i1", "<i2", "<i4", "<f2")
"""In the order of CTranslate2's numbers of its types."""


def read_ctranslate2(content: bytes, specification: str) -> dict[str, NDArray[np.generic]]:
    """Read all variables of a model.

    Parameters
    ----------
    content : of the file
    specification : name that the model must have, as ``WhisperSpec``

    Returns
    -------
    Arrays by variable name, aliases among them; views of `content`.

    Raises
    ------
    WeightsError
        If it is truncated, of another version or specification, or holds another type, or something is left over.
    """
    reader = _Reader(content)
    try:
        version, name = reader.number("I"), reader.text()
        reader.number("I")
        if (version, name) != (_BINARY_VERSION, specification):
            wanted = f"{specification} in version {_BINARY_VERSION}"
            raise WeightsError(f"a CTranslate2 model of {name!r} in binary version {version}; {wanted} was expected")
        variables = dict(reader.variable() for _ in range(reader.number("I")))
        for _ in range(reader.number("I")):
            alias = reader.text()
            variables[alias] = variables[reader.text()]
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise WeightsError(f"damaged CTranslate2 model: {error}") from error
    if not reader.ended:
        raise WeightsError("damaged CTranslate2 model: bytes are left over")
    return variables


class _Reader:
    """Goes through the bytes from one field to the next."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._content)

    def number(self, kind: str) -> int:
        (value,) = struct.unpack_from(f"<{kind}", self._content, self._at)
        self._at += struct.calcsize(kind)
        return int(value)

    def text(self) -> str:
        length = self.number("H")
        raw = self._content[self._at : self._at + length]
        self._at += length
        return raw.rstrip(b"\0").decode()

    def variable(self) -> tuple[str, NDArray[np.generic]]:
        name = self.text()
        shape = [self.number("I") for _ in range(self.number("B"))]
        dtype, size = np.dtype(_DTYPES[self.number("B")]), self.number("I")
        if size != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name} has {size} bytes for {shape} of {dtype.name}")
        array = np.frombuffer(self._content, dtype, math.prod(shape), self._at).reshape(shape)
        self._at += size
        return name, array
