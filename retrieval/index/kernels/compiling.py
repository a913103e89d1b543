"""Numba as the compiled loops of the search use it, and two instructions that it has no name for.

What is compiled is kept on disk for the next process. Numba compiles it anew when the file of a function changes, but
not when the file of one that it calls does; so what is kept is named by all sources of this folder as well.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as numba_cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Bits = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float32]
Halves = NDArray[np.uint16]
Ints = NDArray[np.int64]
ShortInts = NDArray[np.int32]

cgutils: Any = numba_cgutils  # has no types
Function = TypeVar("Function", bound="Callable[..., Any]")
_SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))


def _array(dtype: Any, ndim: int, *, to_write: bool = False) -> Any:
    """Numba's type for an array, wherever it lies: that of a mapped file may begin at an odd address."""
    return types.Array(dtype, ndim, "C", readonly=not to_write, aligned=False)


def struct(*fields: Any) -> Any:
    """Numba's type for several arguments as one: a plain tuple, for a named one takes longer and must fit exactly."""
    return types.Tuple(fields)  # type: ignore[no-untyped-call]


FLOAT, INT = types.float32, types.int64
FLAGS, BYTES, HALVES = _array(types.boolean, 1), _array(types.uint8, 1), _array(types.uint16, 2)
FLOATS, FLOATS_2D, FLOATS_2D_TO_WRITE = _array(FLOAT, 1), _array(FLOAT, 2), _array(FLOAT, 2, to_write=True)
INTS, INTS_2D, INTS_2D_TO_WRITE = _array(INT, 1), _array(INT, 2), _array(INT, 2, to_write=True)
SHORT_INTS = _array(types.int32, 1)


def compiled(*signature: Any) -> Callable[[Function], Function]:
    """Compile a function that runs in its caller's thread and releases the GIL.

    With a signature at once, when it is imported, and kept on disk where there is a place for it; without one when
    another calls it. Sums are taken in any order, or they could not be taken sixteen at a time; what is infinite stays
    so, but there must be no NaN.
    """
    options: dict[str, Any] = {
        "signature_or_function": [signature] if signature else None,
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"reassoc", "contract", "nsz", "nnan"},
    }

    def compile_it(function: Function) -> Function:
        function.__qualname__ += f".{_SOURCES.hexdigest()[:12]}"
        try:
            return cast("Function", njit(cache=True, **options)(function))
        except RuntimeError:  # neither beside the source nor at the user's may anything be written
            return cast("Function", njit(**options)(function))

    return compile_it


def _widened(typing_context: Any, bits: Any) -> Any:
    """The float of a half, which is given by its bits as uint16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


def _fetch(typing_context: Any, items: Any, row: Any, column: Any) -> Any:
    """Ask memory for the line that an item [row, column] is in, to read it soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, pointer, flag = signature.args[0], ir.IntType(8).as_pointer(), ir.IntType(32)
        items = context.make_array(kind)(context, builder, arguments[0])
        item = cgutils.get_item_pointer(context, builder, kind, items, arguments[1:], wraparound=False)
        function = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        prefetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        to_read, keep_close, of_data = flag(0), flag(3), flag(1)
        builder.call(prefetch, [builder.bitcast(item, pointer), to_read, keep_close, of_data])
        return context.get_dummy_value()

    return types.void(items, types.int64, types.int64), generate


widened: Any = intrinsic(_widened)
fetch: Any = intrinsic(_fetch)
