"""What lets a network run faster without changing what it hears."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_LARGEST_KEPT = 32 * 2**20  # glibc takes no more


def fold_batch_norms(network: nn.Module) -> None:
    """Fold batch norms into the convolutions before them, in place: a trained network can, one in training cannot.

    That is done in every sequence of layers, and in every module that says `norms_follow_convolutions`. The network
    must be in evaluation mode. Where a norm follows something else, as in MusiCNN, nothing is said and nothing happens.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential) or getattr(module, "norms_follow_convolutions", False):
            for (name, layer), (next_name, next_layer) in itertools.pairwise(list(module.named_children())):
                if isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(next_layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    setattr(module, name, fuse_conv_bn_eval(layer, next_layer))
                    setattr(module, next_name, nn.Identity())


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where that is twice as fast or more: on CUDA, and on CPUs with AVX-512's bfloat16.

    Norms, softmax, losses and whatever is computed outside stay in float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=product_type(device) == torch.bfloat16)


def product_type(device: torch.device) -> torch.dtype:
    """The type in which matrix products are fastest: bfloat16 as for :func:`half_precision`, else float32."""
    supported = device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.bfloat16 if supported else torch.float32


@cache
def one_core_each() -> ThreadPoolExecutor:
    """Threads for networks that hear a track at a time: one a core, in which torch has no others.

    A CPU is used best so: torch's own threads wait for each other, and collapse as soon as something else (the decoder)
    wants a core too.
    """
    cores, threads = len(os.sched_getaffinity(0)), torch.get_num_threads()
    pool = ThreadPoolExecutor(cores, "listen", initializer=_without_others)
    # What one thread sets, torch takes for all that come to it later, an encoder's too: all of these are started first,
    # and then another sets what was.
    together = threading.Barrier(cores)
    list(pool.map(lambda _: together.wait(), range(cores)))
    last = threading.Thread(target=torch.set_num_threads, args=(threads,))
    last.start()
    last.join()
    return pool


def _without_others() -> None:
    torch.get_num_threads()  # only now is what this thread sets its own
    torch.set_num_threads(1)


@cache
def keep_freed_memory() -> None:
    """Keep freed memory for the next window, where the C library is glibc: it then reuses blocks of up to 32 MiB.

    A window's activations are megabytes; glibc maps blocks of that size anew for every tensor, and every page then
    faults at its first touch. That took a third of the time of small networks (benchmarks/RESULTS.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, 16 * _LARGEST_KEPT)
        mallopt(_M_TOP_PAD, _LARGEST_KEPT)
