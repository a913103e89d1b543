"""The benchmark of robustness: the files that it makes, the way to their embeddings, and its figures."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.encoders.robustness import (
    ORIGINAL,
    VARIANTS,
    chance,
    measure,
    middle_of,
    track_in_spaces,
    write_variant,
)
from encoders.encoder import Encoder
from encoders.errors import UnreadableMediaError
from encoders.media.decoded import MediaLimits
from tests.conftest import tone

RATE = 44_100


def written(path: Path, name: str, *, seconds: float = 5) -> tuple[np.ndarray, int]:
    """Tones, one of them in both channels, written as this variant, and what is in the file."""
    middle, right = (tone(pitch_hz, seconds, sample_rate=RATE) for pitch_hz in (440, 660))
    write_variant(path, VARIANTS[name], np.stack([middle, middle + 0.3 * right]).astype(np.float32), RATE)
    return middle_of(path, 1_000)


def test_variants_hold_what_their_names_say(tmp_path: Path) -> None:
    own, rate = written(tmp_path / "own.wav", ORIGINAL)
    assert (rate, own.shape) == (RATE, (2, 5 * RATE))
    changed = {
        name: written(tmp_path / f"{number}.{variant.suffix}", name)[0]
        for number, (name, variant) in enumerate(VARIANTS.items())
    }
    np.testing.assert_allclose(changed["+18 dB"], own * 10 ** (18 / 20), rtol=1e-5)
    np.testing.assert_allclose(changed["-18 dB"], own * 10 ** (-18 / 20), rtol=1e-5)
    np.testing.assert_array_equal(changed["one channel inverted"], own * [[1], [-1]])
    np.testing.assert_array_equal(changed["one channel only"], own * [[1], [0]])
    np.testing.assert_array_equal(changed["20 s of silence around"][:, 20 * RATE : -20 * RATE], own)
    np.testing.assert_array_equal(changed["2 s alone"], own[:, : 2 * RATE])
    for suffix, most in (("mp3", 1.1), ("ogg", 2)):  # Opus spends more on pure tones than on music
        (size,) = (path.stat().st_size for path in tmp_path.glob(f"?.{suffix}"))
        assert size < most * 5 * 64_000 / 8


def test_the_middle_of_a_file_is_cut_out_and_what_is_no_audio_is_refused(tmp_path: Path) -> None:
    own, _ = written(tmp_path / "own.wav", ORIGINAL)
    np.testing.assert_array_equal(middle_of(tmp_path / "own.wav", 1)[0], own[:, 2 * RATE : 3 * RATE])
    (tmp_path / "words.wav").write_text("no music")
    with pytest.raises(UnreadableMediaError, match=r"words\.wav"):
        middle_of(tmp_path / "words.wav", 1)


def test_a_track_is_heard_once_in_every_variant(
    bands: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "own.wav", ORIGINAL)

    def hear() -> dict[str, np.ndarray]:
        found = track_in_spaces(tmp_path / "own.wav", [bands], cache=tmp_path, seconds=3, limits=MediaLimits())
        return dict(found["bands"])

    heard = hear()
    assert set(heard) == set(VARIANTS)
    for name, most in (("-18 dB", 1e-4), ("+18 dB", 1e-4), ("one channel inverted", 1e-4), ("2 s alone", 0.02)):
        assert heard[name] @ heard[ORIGINAL] == pytest.approx(1, abs=most), name
    monkeypatch.setattr(bands, "encode", None)  # what is kept needs no encoder
    np.testing.assert_array_equal(hear()["2 s alone"], heard["2 s alone"])


def test_figures_of_a_variant_that_is_the_original_and_of_one_that_is_another_track() -> None:
    angles = np.linspace(0, np.pi / 2, 30)
    originals = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    tracks = [{ORIGINAL: one, "same": one, "next": originals[row - 1]} for row, one in enumerate(originals)]
    del tracks[7]["same"]
    same, other = measure(tracks, "same"), measure(tracks, "next")
    assert (same.tracks, same.overlap, same.nearest) == (29, 1, 1)
    assert (same.mean_cosine, same.least_cosine) == pytest.approx((1, 1))
    assert (other.tracks, other.nearest) == (30, 0)
    assert other.least_cosine == pytest.approx(0, abs=1e-6)
    assert 0.5 < other.overlap < 1
    assert chance(21) == 0.5
