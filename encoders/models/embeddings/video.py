"""A space of music and video: near to a clip is the music that fits it.

After Suris et al., "It's Time for Artistic Correspondence in Music and Video", CVPR 2022,
https://arxiv.org/abs/2206.07148: one tower a modality, drawn together by InfoNCE (Radford et al., CLIP, 2021). What is
indexed is the side of music: what `melcnn` hears in a window, beside how loud, how bright and how busy it is, and at
which tempo. The side of pictures (`encoders.models.video.tower`) lies in the same weights, so that both always belong
together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.models.embeddings import melcnn
from encoders.models.video.tower import DIM, N_TEMPI, VideoTower
from encoders.spec import EncoderSpec

SAMPLE_RATE = melcnn.SAMPLE_RATE
WINDOW_LENGTH = melcnn.WINDOW_LENGTH
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
_BANDS = 12
_WIDE = 256
N_MEASURED = 2 * _BANDS + 9 + N_TEMPI
"""What is measured of a window, beside what is heard in it."""


class VideoSpace(nn.Module):
    """Both towers; called, the side of music."""

    heard_mean: Tensor
    heard_scale: Tensor
    measured_mean: Tensor
    measured_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.melcnn = melcnn.MelCNN().requires_grad_(requires_grad=False)
        self.register_buffer("heard_mean", torch.zeros(melcnn.DIM))
        self.register_buffer("heard_scale", torch.ones(melcnn.DIM))
        self.register_buffer("measured_mean", torch.zeros(N_MEASURED))
        self.register_buffer("measured_scale", torch.ones(N_MEASURED))
        self.music = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(melcnn.DIM + N_MEASURED, _WIDE),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Linear(_WIDE, DIM),
        )
        self.pictures = VideoTower()

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → embedding [batch, 128], L2 norm 1, no tag logits [batch, 0]."""
        embedding = self.embed(*self.hear(waveform))
        return embedding, embedding[:, :0]

    def hear(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows → what `melcnn` makes of them [batch, 256], and what is measured [batch, 65]."""
        features = self.melcnn.features(waveform)
        return self.melcnn.hear(features)[0], measured(features, SAMPLE_RATE / self.melcnn.hop_length)

    def embed(self, heard: Tensor, measured: Tensor) -> Tensor:
        """What `hear` returns → embedding [batch, 128] of unit length."""
        heard = (heard - self.heard_mean) / self.heard_scale
        measured = (measured - self.measured_mean) / self.measured_scale
        return F.normalize(self.music(torch.cat([heard, measured.clamp(-5, 5)], dim=1)), dim=1)


def measured(features: Tensor, rate: float) -> Tensor:
    """Loudness, brightness, onsets and pulse of features [batch, 96, frames], `rate` frames a second: [batch, 65]."""
    levels = melcnn.decibels(features)
    bands = _banded(levels)
    level = levels.mean(dim=1)
    rises = levels.diff(dim=2).clamp(min=0)
    flux = rises.mean(dim=1)
    weights = 10 ** (levels / 20)
    places = torch.linspace(0, 1, levels.shape[1], device=levels.device)[:, None]
    centroid = (weights * places).sum(dim=1) / weights.sum(dim=1)
    half = level.shape[1] // 2
    scalars = [
        level.mean(dim=1),
        level.std(dim=1),
        level.amax(dim=1) - level.mean(dim=1),
        level[:, half:].mean(dim=1) - level[:, :half].mean(dim=1),
        flux.mean(dim=1),
        flux.std(dim=1),
        flux.topk(max(1, flux.shape[1] // 20), dim=1).values.mean(dim=1),
        centroid.mean(dim=1),
        centroid.std(dim=1),
    ]
    busy = _banded(rises).mean(dim=2)
    return torch.cat([bands.mean(dim=2), busy, torch.stack(scalars, dim=1), pulse_of(flux, rate)], dim=1)


def _banded(levels: Tensor) -> Tensor:
    """[batch, 96, frames] → means of twelve bands [batch, 12, frames]."""
    return levels.view(len(levels), _BANDS, -1, levels.shape[2]).mean(dim=2)


def pulse_of(curve: Tensor, rate: float) -> Tensor:
    """How regularly a curve [batch, steps], `rate` steps a second, comes again at each of 32 tempi: [batch, 32].

    The autocorrelation at lags of tempi from 40 to 240 beats a minute, evenly in their logarithm; 0 for lags that the
    curve has not.
    """
    steps = curve.shape[1]
    centred = curve - curve.mean(dim=1, keepdim=True)
    spectrum = torch.fft.rfft(centred, n=2 * steps)
    again = torch.fft.irfft(spectrum.abs() ** 2, n=2 * steps)[:, :steps]
    again = again / (again[:, :1] + 1e-6)
    tempi = SLOWEST_BPM * (FASTEST_BPM / SLOWEST_BPM) ** torch.linspace(0, 1, N_TEMPI, device=curve.device)
    lags = 60 * rate / tempi
    low = lags.floor().long()
    part = lags - low
    padded = F.pad(again, (0, max(0, int(low.max()) + 2 - steps)))
    return padded[:, low] * (1 - part) + padded[:, low + 1] * part


SPEC = EncoderSpec(
    name="video",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=DIM,
    build=VideoSpace,
    convert=dict,
    reference="after Suris et al., It's Time for Artistic Correspondence in Music and Video, CVPR 2022; trained by us "
    "on constructed pairs",
    license="Apache-2.0",
    cpu_batch_size=4,
)
