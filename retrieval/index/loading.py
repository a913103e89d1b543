"""When the compiled loops of the search are worth their loading, which takes longer than one small search without them.

A server loads them before it answers, and whoever opens an approximate index loads them by that. A process that asks a
small catalogue once, such as a command, is done sooner by numpy; after some milliseconds of that, the loops are loaded
all the same.
"""

import sys

_WORTH_IT = 1 << 24


def load() -> None:
    """Load them now."""
    from retrieval.index import kernels

    assert kernels


class _Done:
    products = 0


def are_worth_it(products: int) -> bool:
    """Whether to take the compiled loops for so many multiplications or comparisons, or to do them by numpy."""
    if "retrieval.index.kernels" in sys.modules:
        return True
    _Done.products += products
    return _Done.products > _WORTH_IT
