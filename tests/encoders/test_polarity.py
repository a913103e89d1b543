"""Channels that are inverted do not cancel the others, in real files of every kind of layout."""

import io
import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.errors import SilentAudioError, UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoder_process import decode_untrusted
from encoders.media.mixdown import Mixdown
from encoders.media.polarity import Polarity

RATE = 44_100
INVERTED = np.array([[1], [-1]], np.float32)
CODECS = {"wav": ("pcm_s16le", "s16"), "float wav": ("pcm_f32le", "flt"), "flac": ("flac", "s16")}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def music(channels: int, rng: np.random.Generator, *, duration_s: float = 3.0) -> NDArray[np.float32]:
    """Noise float32 [channels, samples] below full scale: half of it is the same in all channels."""
    own = rng.standard_normal((channels, round(duration_s * RATE))).astype(np.float32)
    return (0.1 * (own[:1] + own) + 0.01).clip(-0.9, 0.9)  # with an offset that no microphone has inverted


def encoded(samples: NDArray[np.float32], kind: str = "float wav") -> bytes:
    """A file with these channels [channels, samples]."""
    codec, sample_format = CODECS[kind]
    whole = sample_format == "s16"
    packed = (samples * 32_000).round().astype(np.int16) if whole else samples
    content = io.BytesIO()
    with av.open(content, "w", format="flac" if kind == "flac" else "wav") as out:
        stream = out.add_stream(codec, rate=RATE, layout=LAYOUTS[len(samples)])
        for start in range(0, packed.shape[1], 4096):
            part = np.ascontiguousarray(packed[:, start : start + 4096].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format=sample_format, layout=LAYOUTS[len(samples)])
            frame.sample_rate, frame.pts = RATE, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return content.getvalue()


def heard(content: bytes) -> NDArray[np.float32]:
    return decode(content, sample_rates=[16_000]).waveforms[16_000]


@pytest.mark.parametrize("kind", CODECS)
def test_an_inverted_channel_gives_the_very_waveform(kind: str, tmp_path: Path, rng: np.random.Generator) -> None:
    samples = music(2, rng)
    path = tmp_path / "inverted"
    path.write_bytes(encoded(INVERTED * samples, kind))
    ways = [
        lambda: decode(path, sample_rates=[22_050, 16_000]).waveforms[16_000],
        lambda: heard(path.read_bytes()),
        lambda: decode_untrusted(path.read_bytes(), sample_rates=[16_000]).waveforms[16_000],
        lambda: -heard(encoded(-INVERTED * samples, kind)),
    ]
    ordinary = heard(encoded(samples, kind))
    assert np.abs(ordinary).max() > 0.1
    for way in ways:
        np.testing.assert_array_equal(way(), ordinary)


def test_two_channels_that_cancel_each_other_are_not_silent(rng: np.random.Generator) -> None:
    alike = np.repeat(music(1, rng), 2, axis=0)
    np.testing.assert_array_equal(heard(encoded(INVERTED * alike)), heard(encoded(alike)))
    with pytest.raises(SilentAudioError):
        heard(encoded(0 * alike))


def test_any_of_six_channels_may_be_inverted(rng: np.random.Generator) -> None:
    samples = music(6, rng, duration_s=1)
    ordinary = heard(encoded(samples))
    for turned in ([1], [0, 4], [1, 2, 3], [0, 1, 2, 3, 5]):
        inverted = samples.copy()
        inverted[turned] *= -1
        sign = -1 if 0 in turned else 1
        np.testing.assert_array_equal(sign * heard(encoded(inverted)), ordinary)


@pytest.mark.parametrize("first", [0, 1])
def test_one_channel_alone_is_averaged_with_the_silent_one(first: int, rng: np.random.Generator) -> None:
    samples = music(2, rng)
    samples[first] = 0
    alone = heard(encoded(samples[1 - first][np.newaxis]))
    np.testing.assert_allclose(heard(encoded(samples)), alone / 2, atol=1e-6)


def test_channels_that_have_nothing_in_common_keep_their_power(rng: np.random.Generator) -> None:
    own = 0.1 * rng.standard_normal((2, 3 * RATE)).astype(np.float32)
    power = np.square(heard(encoded(own))).mean()
    for samples in (INVERTED * own, -INVERTED * own):
        assert np.square(heard(encoded(samples))).mean() == pytest.approx(power, rel=0.03)
    assert power == pytest.approx(0.01 / 2 * 16_000 / RATE, rel=0.1)  # the resampler takes some


@pytest.mark.parametrize(("share", "kept"), [(0.25, slice(0, 2)), (0.75, slice(2, None))])
def test_a_file_inverted_in_a_part_is_heard_as_its_longer_part(
    share: float, kept: slice, rng: np.random.Generator
) -> None:
    samples = music(2, rng, duration_s=8)
    inverted = samples.copy()
    inverted[1, round((1 - share) * samples.shape[1]) :] *= -1
    part = slice(16_000 * (kept.start + 1), 16_000 * (kept.stop or 7))
    np.testing.assert_array_equal(heard(encoded(inverted))[part], heard(encoded(samples))[part])


def test_each_format_of_a_stream_has_its_own_signs(rng: np.random.Generator) -> None:
    stretches = [INVERTED * music(2, rng), music(1, rng), music(6, rng)]
    frames = []
    for samples in stretches:
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=LAYOUTS[len(samples)])
        frame.sample_rate = RATE
        frames.append(frame)
    polarity = Polarity()
    for frame in frames:
        polarity.hear(frame)
    signs = polarity.signs()
    assert list(signs.values()) == [(1, -1)]
    mixdown = Mixdown([RATE], signs)
    for frame in frames:
        mixdown.push(frame)
    waveform = mixdown.finish()[RATE]
    averages = np.concatenate([(INVERTED * stretches[0]).mean(0), stretches[1][0], stretches[2].mean(0)])
    np.testing.assert_allclose(waveform, averages, atol=1e-6)


@pytest.mark.parametrize("sample_format", ["u8", "s16p", "s32", "dbl", "dblp"])
def test_every_sample_format_is_understood(sample_format: str, rng: np.random.Generator) -> None:
    frame = av.AudioFrame.from_ndarray(INVERTED * music(2, rng), format="fltp", layout="stereo")
    frame.sample_rate = RATE
    polarity = Polarity()
    for part in av.AudioResampler(sample_format, "stereo", RATE).resample(frame):
        polarity.hear(part)
    assert list(polarity.signs().values()) == [(1, -1)]


def test_the_signs_found_give_the_most_power(rng: np.random.Generator) -> None:
    samples = rng.standard_normal((5, 5)) @ rng.standard_normal((5, RATE))
    frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="5.0")
    frame.sample_rate = RATE
    polarity = Polarity()
    polarity.hear(frame)
    (found,) = polarity.signs().values() or [(1,) * 5]
    start = samples[:, :2048]
    powers = {signs: np.var(np.array(signs) @ start) for signs in itertools.product((1, -1), repeat=5)}
    assert powers[found] == pytest.approx(max(powers.values()), rel=0.01)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_say_nothing(bad: float, rng: np.random.Generator) -> None:
    samples = music(2, rng)
    sound = heard(encoded(samples))
    samples[1, 1000] = bad
    assert (
        np.count_nonzero(np.abs(heard(encoded(samples)) - sound) > 1e-6) < 40
    )  # what the resampler makes of one sample
    samples[1, ::20] = bad
    with pytest.raises(UnreadableMediaError, match="not finite"):
        heard(encoded(samples))
