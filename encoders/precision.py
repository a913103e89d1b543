"""bfloat16 for convolutions and matrix products, on devices that are fast in it."""

from __future__ import annotations

import torch


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where that is twice as fast or more: on CUDA, and on CPUs with AVX-512's bfloat16.

    Norms, softmax, losses and whatever is computed outside stay in float32.
    """
    supported = device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=supported)
