"""Whisper's first word: against the published layout worked out in numpy with random weights."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.checkpoints.files import load_into
from encoders.errors import CheckpointMismatchError
from encoders.loading import fetch_weights, load_network
from encoders.media.decode import decode
from encoders.models.language.codes import CODES, INDEX
from encoders.models.language.whisper import SAMPLE_RATE, SPEC, FirstStep, Whisper, convert
from tests.conftest import tone

Array = NDArray[np.float64]
DIM, HEADS, BLOCKS, VOCABULARY = 512, 8, 6, 51_865
START, ENGLISH, NOBODY = 50_258, 50_259, 50_362


def linear(rng: np.random.Generator, name: str, n_out: int, n_in: int) -> dict[str, NDArray[np.generic]]:
    """Half precision keeps them exactly."""
    weight = rng.normal(0, n_in**-0.5, (n_out, n_in)).astype(np.float16)
    return {f"{name}/weight": weight, f"{name}/bias": rng.normal(0, 0.1, n_out).astype(np.float16)}


def norm(rng: np.random.Generator, name: str) -> dict[str, NDArray[np.generic]]:
    gamma, beta = rng.normal(1, 0.1, DIM), rng.normal(0, 0.1, DIM)
    return {f"{name}/gamma": gamma.astype(np.float16), f"{name}/beta": beta.astype(np.float16)}


@pytest.fixture(scope="module")
def published() -> dict[str, NDArray[np.generic]]:
    """All variables of a release of this size, at random."""
    rng = np.random.default_rng(5)
    variables: dict[str, NDArray[np.generic]] = {
        "decoder/embeddings/weight": rng.normal(0, 0.1, (VOCABULARY, DIM)).astype(np.float16),
        "decoder/position_encodings/encodings": rng.normal(0, 0.1, (448, DIM)).astype(np.float16),
        "encoder/position_encodings/encodings": rng.normal(0, 0.1, (1500, DIM)).astype(np.float16),
        "encoder/conv1/weight": rng.normal(0, 0.05, (DIM, 80, 3)).astype(np.float16),
        "encoder/conv1/bias": rng.normal(0, 0.1, DIM).astype(np.float16),
        "encoder/conv2/weight": rng.normal(0, 0.02, (DIM, DIM, 3)).astype(np.float16),
        "encoder/conv2/bias": rng.normal(0, 0.1, DIM).astype(np.float16),
        **norm(rng, "encoder/layer_norm"),
        **norm(rng, "decoder/layer_norm"),
    }
    for side in ("encoder", "decoder"):
        for number in range(BLOCKS):
            block = f"{side}/layer_{number}"
            variables |= norm(rng, f"{block}/self_attention/layer_norm") | norm(rng, f"{block}/ffn/layer_norm")
            variables |= linear(rng, f"{block}/self_attention/linear_0", 3 * DIM, DIM)
            variables |= linear(rng, f"{block}/self_attention/linear_1", DIM, DIM)
            variables |= linear(rng, f"{block}/ffn/linear_0", 4 * DIM, DIM)
            variables |= linear(rng, f"{block}/ffn/linear_1", DIM, 4 * DIM)
            if side == "decoder":
                variables |= norm(rng, f"{block}/attention/layer_norm")
                variables |= linear(rng, f"{block}/attention/linear_0", DIM, DIM)
                variables |= linear(rng, f"{block}/attention/linear_1", 2 * DIM, DIM)
                variables |= linear(rng, f"{block}/attention/linear_2", DIM, DIM)
                variables[f"{block}/attention/linear_1/bias"][:DIM] = 0  # keys have none
    return variables


@pytest.fixture(scope="module")
def network(published: dict[str, NDArray[np.generic]]) -> Whisper:
    made = Whisper().eval()
    load_into(made, convert(published))
    return made


# Weights --------------------------------------------------------------------------------------------------------------


def test_every_weight_is_named_in_half_precision(published: dict[str, NDArray[np.generic]], network: Whisper) -> None:
    converted = convert(published)
    assert converted.keys() == network.state_dict().keys()
    assert {tensor.dtype for tensor in converted.values()} == {torch.float16}
    assert converted["languages"].shape == (100, DIM)
    embeddings = published["decoder/embeddings/weight"]
    np.testing.assert_array_equal(converted["languages"][0].numpy(), embeddings[ENGLISH])
    np.testing.assert_array_equal(converted["languages"][-1].numpy(), embeddings[NOBODY])


def test_a_release_that_lacks_a_variable_is_refused(published: dict[str, NDArray[np.generic]]) -> None:
    without = {name: array for name, array in published.items() if name != "decoder/layer_3/ffn/linear_1/bias"}
    with pytest.raises(CheckpointMismatchError, match=r"no variable 'decoder/layer_3/ffn/linear_1/bias'"):
        convert(without)


def layer_norm(values: Array, published: dict[str, NDArray[np.generic]], name: str) -> Array:
    centred = values - values.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return normal * published[f"{name}/gamma"].astype(float) + published[f"{name}/beta"].astype(float)


def affine(values: Array, published: dict[str, NDArray[np.generic]], name: str) -> Array:
    return values @ published[f"{name}/weight"].astype(float).T + published[f"{name}/bias"].astype(float)


def attended(query: Array, key: Array, value: Array) -> Array:
    """Query [q, 512], keys and values [k, 512] by head."""
    parts = []
    for head in range(HEADS):
        some = slice(64 * head, 64 * head + 64)
        scores = query[:, some] @ key[:, some].T / 8
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        parts.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, some])
    return np.concatenate(parts, axis=1)


def decoder_block(token: Array, heard: Array, published: dict[str, NDArray[np.generic]], block: str) -> Array:
    """A decoder's block as published: self-attention with query, key and value, over the one token that there is."""
    inside = layer_norm(token, published, f"{block}/self_attention/layer_norm")
    query, key, value = np.split(affine(inside, published, f"{block}/self_attention/linear_0"), 3, axis=1)
    token = token + affine(attended(query, key, value), published, f"{block}/self_attention/linear_1")
    query = affine(
        layer_norm(token, published, f"{block}/attention/layer_norm"), published, f"{block}/attention/linear_0"
    )
    key, value = np.split(affine(heard, published, f"{block}/attention/linear_1"), 2, axis=1)
    token = token + affine(attended(query, key, value), published, f"{block}/attention/linear_2")
    inside = affine(layer_norm(token, published, f"{block}/ffn/layer_norm"), published, f"{block}/ffn/linear_0")
    gelu = torch.nn.functional.gelu(torch.from_numpy(inside)).numpy()
    return token + affine(gelu, published, f"{block}/ffn/linear_1")


@pytest.mark.parametrize("number", [0, 5])
def test_the_folded_first_step_is_the_whole_block(
    published: dict[str, NDArray[np.generic]], network: Whisper, number: int
) -> None:
    rng = np.random.default_rng(number)
    tokens, heard = rng.normal(size=(2, 1, DIM)), rng.normal(size=(2, 9, DIM))
    step = network.decoder[number]
    assert isinstance(step, FirstStep)
    with torch.inference_mode():
        computed = step(torch.from_numpy(tokens).float(), torch.from_numpy(heard).float()).numpy()
    for mine, token, states in zip(computed, tokens, heard, strict=True):
        theirs = decoder_block(token, states, published, f"decoder/layer_{number}")
        np.testing.assert_allclose(mine, theirs, atol=0.01)  # the folded product was rounded to half precision
        assert np.abs(theirs - token).max() > 1


def test_the_answer_is_the_softmax_of_the_published_decoder(
    published: dict[str, NDArray[np.generic]], network: Whisper
) -> None:
    heard = np.random.default_rng(8).normal(size=(9, DIM))
    with torch.inference_mode():
        said = network.understand(torch.from_numpy(heard).float()[None])[0].double().exp().numpy()
    embeddings = published["decoder/embeddings/weight"].astype(float)
    token = embeddings[None, START] + published["decoder/position_encodings/encodings"][:1].astype(float)
    for number in range(BLOCKS):
        token = decoder_block(token, heard, published, f"decoder/layer_{number}")
    scores = layer_norm(token, published, "decoder/layer_norm")[0] @ embeddings.T
    among = np.exp(scores[[*range(ENGLISH, ENGLISH + 99), NOBODY]] - scores.max())
    among /= among.sum()
    for code, token_number in (("en", 0), ("zh", 1), ("de", 2), ("ja", 7)):
        assert said[INDEX[code]] == pytest.approx(among[token_number], rel=0.03)
    assert said[-1] == pytest.approx(among[-1], rel=0.03)
    assert said[INDEX["no"]] == pytest.approx(among[29] + among[83], rel=0.03)  # Bokmål and Nynorsk


# Sound ----------------------------------------------------------------------------------------------------------------


def hz_of(mel: Array) -> Array:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def log_mel(waveform: NDArray[np.float32]) -> Array:
    """As Whisper's authors compute it: reflected ends, Hann, 80 bands of librosa's, no last frame, 8 powers of ten."""
    padded = np.pad(waveform.astype(float), 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([padded[160 * n : 160 * n + 400] * window for n in range(len(waveform) // 160)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    corners = hz_of(np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 82))
    bins = np.arange(201) * 40.0
    filters = []
    for low, centre, high in zip(corners, corners[1:], corners[2:], strict=False):
        triangle = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
        filters.append(np.maximum(triangle, 0) * 2 / (high - low))
    levels = np.log10(np.maximum(power @ np.stack(filters).T, 1e-10))
    return ((np.maximum(levels, levels.max() - 8) + 4) / 4).T


@pytest.mark.parametrize("samples", [16_000, 16_159, 401])
def test_log_mel_is_the_authors(network: Whisper, rng: np.random.Generator, samples: int) -> None:
    sound = (tone(220, 2.0)[:samples] * np.linspace(0, 1, samples) + rng.normal(0, 1e-3, samples)).astype(np.float32)
    quiet = np.roll(sound, 100) * np.float32(1e-3)
    computed = network.log_mel(torch.from_numpy(np.stack([sound, quiet]))).numpy()
    assert computed.shape == (2, 80, samples // 160)
    np.testing.assert_allclose(computed[0], log_mel(sound), atol=2e-3)
    np.testing.assert_allclose(computed[1], log_mel(quiet), atol=2e-3)  # each has a loudest of its own


@pytest.mark.parametrize(
    "sound",
    [
        lambda: np.zeros((1, 0)),
        lambda: np.zeros((2, 1)),
        lambda: np.full((1, 200), 0.1),
        lambda: np.full((1, 201), 0.1),
        lambda: np.zeros((1, SAMPLE_RATE)),
        lambda: tone(330, 1.234)[None],
        lambda: 100 * tone(330, 30.0)[None],
    ],
)
def test_probabilities_add_up_whatever_is_heard(network: Whisper, sound: Callable[[], NDArray[np.float64]]) -> None:
    waveform = torch.from_numpy(sound().astype(np.float32))
    with torch.inference_mode():
        said = network(waveform)
    assert said.shape == (len(waveform), len(CODES) + 1)
    torch.testing.assert_close(said.exp().sum(dim=1), torch.ones(len(said)), atol=1e-5, rtol=0)
    assert bool(said.isfinite().all())


def test_a_language_that_whisper_lacks_has_next_to_no_probability(network: Whisper) -> None:
    with torch.inference_mode():
        said: Tensor = network(torch.from_numpy(tone(330, 1.0))[None])[0]
    lacking = [code for code in CODES if float(said[INDEX[code]]) < np.log(1e-8)]
    assert {"eo", "ga", "zu"} <= set(lacking)
    assert not {"en", "jv", "no", "haw"} & set(lacking)


def test_a_window_is_heard_alike_alone_and_among_others(network: Whisper) -> None:
    windows = torch.from_numpy(np.stack([tone(hz, 2.0) for hz in (220, 330, 880)]))
    with torch.inference_mode():
        together = network(windows)
        alone = torch.cat([network(window[None]) for window in windows])
    torch.testing.assert_close(together.exp(), alone.exp(), atol=0.02, rtol=0.05)


# The release ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(weights_dir: Path) -> Whisper:
    """The published weights, fetched once."""
    fetch_weights(SPEC, weights_dir)
    made, _ = load_network(SPEC, weights_dir)
    assert isinstance(made, Whisper)
    return made.eval()


def heard(release: Whisper, sound: NDArray[np.float32]) -> dict[str, float]:
    with torch.inference_mode():
        said = release(torch.from_numpy(sound)[None])[0].exp().tolist()
    return dict(zip([*CODES, "nobody"], said, strict=True))


def test_nobody_speaks_in_silence_and_tones(release: Whisper) -> None:
    for sound in (np.zeros(6 * SAMPLE_RATE, np.float32), tone(440, 6.0)):
        assert heard(release, sound)["nobody"] > 0.6


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng on the PATH")
def test_a_sentence_is_heard_in_its_language(release: Whisper) -> None:
    sentence = "Buenos días, señoras y señores. ¿Cómo están ustedes hoy? Hace muy buen tiempo."
    wav = subprocess.run(["espeak-ng", "-v", "es", "--stdout", sentence], capture_output=True, check=True).stdout
    said = heard(release, decode(wav, sample_rates=[SAMPLE_RATE]).waveforms[SAMPLE_RATE])
    del said["nobody"]
    assert max(said, key=lambda code: said[code]) == "es"
    assert said["es"] > 10 * sorted(said.values())[-2]
