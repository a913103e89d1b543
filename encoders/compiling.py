"""Loops that numba compiles, and keeps on disk for the next process where there is a place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., Any]")


def compiled(function: Function) -> Function:
    """Compile a function at its first call; it runs in its caller's thread and releases the GIL."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast("Function", njit(cache=True, **options)(function))
    except RuntimeError:  # neither beside the source nor at the user's may anything be written
        return cast("Function", njit(**options)(function))
