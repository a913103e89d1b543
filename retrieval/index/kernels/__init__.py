"""The compiled loops of the search, sealed: what stands here is called by the searches beside this folder alone.

``scoring`` → ``ranking`` → ``probing`` → ``searching``, the rules of ``stopping``, and Numba in ``compiling``.
"""

from retrieval.index.kernels.ascending import places
from retrieval.index.kernels.probing import CoarseCosines, Probes, coarse_cosines, padded, probes_between, probes_within
from retrieval.index.kernels.ranking import best, best_of_floats, best_of_halves, offer
from retrieval.index.kernels.scoring import candidate_cosines, decode
from retrieval.index.kernels.searching import Limits, StoredLists, search_probes, search_within
from retrieval.index.kernels.stopping import (
    TUNING_KS,
    candidates_needed,
    for_k,
    reach_for,
    reach_of_matching,
    unsure,
)

__all__ = [
    "TUNING_KS",
    "CoarseCosines",
    "Limits",
    "Probes",
    "StoredLists",
    "best",
    "best_of_floats",
    "best_of_halves",
    "candidate_cosines",
    "candidates_needed",
    "coarse_cosines",
    "decode",
    "for_k",
    "offer",
    "padded",
    "places",
    "probes_between",
    "probes_within",
    "reach_for",
    "reach_of_matching",
    "search_probes",
    "search_within",
    "unsure",
]
