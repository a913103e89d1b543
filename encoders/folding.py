"""Batch norm folded into the convolution before it, which a trained network can do and a network in training cannot."""

from __future__ import annotations

import itertools

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, in every sequence of layers, and in every module that says `norms_follow_convolutions`.

    The network must be in evaluation mode. Where a norm follows something else, as in MusiCNN, nothing is said and
    nothing happens.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential) or getattr(module, "norms_follow_convolutions", False):
            for (name, layer), (next_name, next_layer) in itertools.pairwise(list(module.named_children())):
                if isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(next_layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    setattr(module, name, fuse_conv_bn_eval(layer, next_layer))
                    setattr(module, next_name, nn.Identity())
