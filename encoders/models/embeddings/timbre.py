"""What tells tracks apart by timbre, key and motion: statistics of ten seconds of a log-frequency spectrogram.

Spijkervet & Burgoyne, "Contrastive Learning of Musical Representations", ISMIR 2021, https://arxiv.org/abs/2103.09410,
trains a SampleCNN on 2.7 s of raw audio (:mod:`encoders.models.embeddings.samplecnn`). Here its loss trains one linear
map, of means, deviations and changes over time: statistics pooling and linear discriminant analysis, as speaker
recognition has them (Snyder et al., "X-vectors: Robust DNN embeddings for speaker recognition", ICASSP 2018). On the
few hundred tracks that may be used, layers of convolutions before the pooling learnt the tracks by heart and found
unseen ones less often (benchmarks/RESULTS.md). Quarter-tone bins hear the key and the instruments; a change of volume
changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.frontend import LogFrequency
from encoders.spec import EncoderSpec

SAMPLE_RATE = 22_050
WINDOW_LENGTH = 10 * SAMPLE_RATE
N_FFT = 4096
HOP_LENGTH = 2048
BINS_PER_OCTAVE = 24
N_BINS = 174
FMIN_HZ = 65.406  # C2; the lowest nine bins overlap, since those of the FFT lie further apart there
DIM = 256
N_STATISTICS = 6 * N_BINS
_FLOOR_DB = -50.0
_EPSILON = 1e-5
_HALF_OCTAVE = BINS_PER_OCTAVE // 2


class StatisticsNet(nn.Module):
    """Means and deviations of a spectrogram, of its partials, and of how both change; then one linear map to `dim`."""

    sample_rate = SAMPLE_RATE
    hop_length = HOP_LENGTH
    contrast: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int = DIM) -> None:
        super().__init__()
        self.spectrogram = LogFrequency(
            sample_rate=SAMPLE_RATE,
            n_fft=N_FFT,
            hop_length=HOP_LENGTH,
            fmin_hz=FMIN_HZ,
            n_bins=N_BINS,
            bins_per_octave=BINS_PER_OCTAVE,
        )
        self.register_buffer("contrast", _above_neighbours(N_BINS), persistent=False)
        self.register_buffer("mean", torch.zeros(N_STATISTICS))
        self.register_buffer("deviation", torch.ones(N_STATISTICS))
        self.head = nn.Linear(N_STATISTICS, dim)

    def features(self, waveform: Tensor) -> Tensor:
        """Waveforms float32 [batch, samples] → dB [batch, 174, 1 + samples // 2048]."""
        decibels: Tensor = self.spectrogram(waveform)
        return decibels

    def statistics(self, features: Tensor) -> Tensor:
        """Features [batch, 174, frames] → statistics [batch, 1044], standardised by the music of the training."""
        level = (features - features.mean(dim=(1, 2), keepdim=True)).clamp(min=_FLOOR_DB) / 10
        maps = torch.cat([level, F.relu(self.contrast @ level)], dim=1).float()
        mean = maps.mean(dim=2)
        # torch.var_mean takes twenty times as long over rows as short as these.
        variance = (maps - mean[..., None]).square().sum(dim=2) / (maps.shape[2] - 1)
        change = torch.diff(maps, dim=2).square().mean(dim=2)
        statistics = torch.cat([mean, (variance + _EPSILON).sqrt(), (change + _EPSILON).sqrt()], dim=1)
        return (statistics - self.mean) / self.deviation

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features [batch, 174, frames] → embedding [batch, dim], no tag logits [batch, 0]."""
        embedding = self.head(self.statistics(features))
        return embedding, embedding[:, :0]

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → embedding [batch, dim], no tag logits [batch, 0]."""
        return self.encode(self.features(waveform))


def _above_neighbours(n_bins: int) -> Tensor:
    """Matrix [n_bins, n_bins] that takes from every bin the mean of the octave around it: what is left are partials."""
    distance = (torch.arange(n_bins)[:, None] - torch.arange(n_bins)).abs()
    octave = (distance <= _HALF_OCTAVE).float()
    return torch.eye(n_bins) - octave / octave.sum(dim=1, keepdim=True)


SPEC = EncoderSpec(
    name="timbre",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=DIM,
    build=StatisticsNet,
    convert=dict,
    reference="after Spijkervet & Burgoyne, CLMR, ISMIR 2021, https://arxiv.org/abs/2103.09410",
    license="Apache-2.0",
    cpu_batch_size=4,
)
