"""What an encoder is.

Its network takes waveform windows float32 [batch, window_length] and returns ``(embedding [batch, dim], tag_logits
[batch, n_tags])``; n_tags may be 0. An encoder's version names the bytes of its weights and how the sound was prepared
for it, so two embeddings with one version are comparable.
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


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder: its input and output, its network, and where its weights come from.

    Attributes
    ----------
    name : registry name, also the stem of the weights file
    sample_rate : Hz
    window_length : samples the network takes at once
    dim : size of an embedding
    build : makes the network with untrained weights
    convert : published checkpoint's keys → the network's own keys
    reference : the paper
    license : of the published weights
    tags : labels of the tag logits, in their order
    sha256 : of the weights file, where only one is right
    fetch : writes the published weights to the file that it is given
    package : what `fetch` gets them out of, as the package index has it: ``name==version``
    complete : `build` gives a network that has its weights, and no file is looked for
    cpu_batch_size : windows that pass the network together on a CPU core: as many as its caches hold
    """

    name: str
    sample_rate: int
    window_length: int
    dim: int
    build: Callable[[], nn.Module]
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    reference: str
    license: str
    tags: tuple[str, ...] = ()
    sha256: str | None = None
    fetch: Callable[[Path], None] | None = None
    package: str | None = None
    complete: bool = False
    cpu_batch_size: int = 1

    @property
    def window_s(self) -> float:
        """Window length in seconds."""
        return self.window_length / self.sample_rate

    def weights_in(self, directory: Path) -> Path:
        """Where this encoder's weights lie in a directory of weights, or would."""
        return directory / f"{self.name}.safetensors"
