"""Batch norms are folded where they follow a convolution, and left where they do not; cores are shared out."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from encoders.acceleration import fold_batch_norms
from encoders.models.embeddings.musicnn import MusiCNN
from encoders.models.embeddings.samplecnn import SPEC as SAMPLECNN
from encoders.models.embeddings.tagging import SPEC as TAGGING


def with_statistics(network: nn.Module) -> nn.Module:
    """Norms as after a training: none of them is the identity."""
    torch.manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(
    ("network", "length", "left"),
    [
        (TAGGING.build(), TAGGING.window_length, 1),
        (SAMPLECNN.build(), SAMPLECNN.window_length, 0),
        (MusiCNN(), 48_128, 11),
    ],
)
def test_folding_changes_no_output(network: nn.Module, length: int, left: int, rng: np.random.Generator) -> None:
    plain = with_statistics(network)
    folded = copy.deepcopy(plain)
    fold_batch_norms(folded)
    norms = [module for module in folded.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == left
    windows = torch.from_numpy(rng.uniform(-0.5, 0.5, (2, length)).astype(np.float32))
    with torch.inference_mode():
        expected, found = plain(windows)[0], folded(windows)[0]
    cosine = torch.nn.functional.cosine_similarity(expected.double(), found.double())
    assert cosine.min() > 0.9999


def test_listening_takes_a_core_a_track_and_leaves_all_of_them_to_others() -> None:
    """In a process of its own: torch asks for the number of threads once."""
    code = """
import threading, torch
torch.set_num_threads(3)
from encoders.acceleration import one_core_each
given = []
def listen(): given.append(one_core_each().submit(torch.get_num_threads).result())
def encode(): given.append(torch.get_num_threads())
for work in (listen, encode, listen):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(*given, torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "3", "1", "3"]
