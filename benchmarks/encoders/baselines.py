"""Encoders that nobody trained, to hold a trained one against: statistics of MFCCs, and networks as they were built.

MFCC: Logan, "Mel frequency cepstral coefficients for music modeling", ISMIR 2000; parameters as librosa has them.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from encoders.checkpoints.sha256 import sha256_file, sha256_tensors
from encoders.encoder import Encoder
from encoders.frontend import AmplitudeToDB, SlaneyMel, torchaudio
from encoders.registry import encoder_spec
from encoders.spec import EncoderSpec

SAMPLE_RATE = 22_050
WINDOW_LENGTH = 10 * SAMPLE_RATE
N_MELS = 128
N_MFCC = 20
SEED = 0


class MfccStatistics(nn.Module):
    """Mean and standard deviation over time of MFCCs and of their slopes over nine frames."""

    dct: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mel = SlaneyMel(sample_rate=SAMPLE_RATE, n_fft=2048, hop_length=512, n_mels=N_MELS)
        self.amplitude_to_db = AmplitudeToDB()
        self.register_buffer("dct", torchaudio.functional.create_dct(N_MFCC, N_MELS, norm="ortho"))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → statistics [batch, 80], no tag logits [batch, 0]."""
        mfcc = (self.amplitude_to_db(self.mel(waveform)) @ self.dct).mT
        delta = torchaudio.functional.compute_deltas(mfcc, win_length=9)
        statistics = torch.cat([part for series in (mfcc, delta) for part in (series.mean(2), series.std(2))], dim=1)
        return statistics, statistics[:, :0]


MFCC = EncoderSpec(
    name="mfcc",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=4 * N_MFCC,
    build=MfccStatistics,
    convert=dict,
    reference="Logan, Mel frequency cepstral coefficients for music modeling, ISMIR 2000",
    license="Apache-2.0",
)


def mfcc_encoder() -> Encoder:
    """MFCC statistics as an encoder; its version names this file, for want of weights."""
    version = f"{MFCC.name}-{sha256_file(Path(__file__))[:12]}"
    return Encoder(MFCC, MFCC.build(), version=version, device=torch.device("cpu"))


def untrained_encoder(architecture: str) -> Encoder:
    """Build a registered encoder's network with seeded weights, and train it not at all.

    Raises
    ------
    UnknownEncoderError
        If no encoder is called so.
    """
    spec = encoder_spec(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = spec.build()
    untrained = replace(spec, name=f"untrained {spec.name}")
    version = f"{spec.name}-untrained-{sha256_tensors(network.state_dict())[:12]}"
    return Encoder(untrained, network, version=version, device=torch.device("cpu"))
