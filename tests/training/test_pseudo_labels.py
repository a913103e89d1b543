"""What teachers say of a corpus: on stretches spread over every track, asked once, and by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from encoders.encoder import Encoder
from encoders.media.decoded import MediaLimits
from encoders.models.embeddings.musicnn import MSD_TAGS, MTT_TAGS, SAMPLE_RATE, WINDOW_LENGTH
from encoders.spec import EncoderSpec
from encoders.tag_vocabulary import TAGS
from encoders.training.corpus import CorpusTrack, prepare, read_corpus
from encoders.training.pseudo_labels import WINDOWS_A_STRETCH, PseudoLabels, label, stretch_starts
from tests.conftest import tone


class HighOrLow(nn.Module):
    """Every tag is surely there in a window that is high, and surely not in one that is low."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = 0

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        self.windows += len(waveform)
        loudest_hz = torch.fft.rfft(waveform).abs().argmax(dim=1) * SAMPLE_RATE / WINDOW_LENGTH
        sure = torch.where(loudest_hz > 1_000, 100.0, -100.0)
        return sure[:, None], sure[:, None].expand(-1, 50)


def teacher(tags: tuple[str, ...], version: str) -> tuple[Encoder, HighOrLow]:
    network = HighOrLow()
    spec = EncoderSpec(
        name="teacher",
        sample_rate=SAMPLE_RATE,
        window_length=WINDOW_LENGTH,
        dim=1,
        build=HighOrLow,
        convert=dict,
        reference="of the tests",
        license="Apache-2.0",
        tags=tags,
    )
    return Encoder(spec, network, version=version, device=torch.device("cpu")), network


MSD, HEARD_MSD = teacher(MSD_TAGS, "msd-1")
MTT, HEARD_MTT = teacher(MTT_TAGS, "mtt-1")


@pytest.fixture
def corpus(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """A track of low, low, high; high, high, high windows, and a short low one."""
    window_s = WINDOW_LENGTH / SAMPLE_RATE
    long = np.concatenate([tone(220, 2 * window_s), tone(3_000, 4 * window_s)])
    write_wav(tmp_path / "music" / "long.wav", long)
    write_wav(tmp_path / "music" / "short.wav", tone(220, 2))
    sources = [(path.name, path) for path in sorted((tmp_path / "music").iterdir())]
    assert all(done.track for done in prepare(sources, tmp_path / "corpus", limits=MediaLimits()))
    return tmp_path / "corpus"


@pytest.fixture
def tracks(corpus: Path) -> list[CorpusTrack]:
    return read_corpus(corpus)


def test_stretches_by_hand(corpus: Path, tracks: list[CorpusTrack]) -> None:
    """One of three windows is high in the first stretch, all three in the second; a short track is heard as it is."""
    labels = label(corpus, tracks, MSD, MTT)
    assert labels.tracks.tolist() == [0, 0, 1]
    np.testing.assert_allclose(labels.offsets_s, [0, 3 * WINDOW_LENGTH / SAMPLE_RATE, 0])
    assert labels.scores.shape == (3, len(TAGS))
    np.testing.assert_allclose(labels.scores, np.array([[1 / 3], [1], [0]]).repeat(len(TAGS), axis=1), atol=1e-6)


def test_a_track_is_asked_about_once(corpus: Path, tracks: list[CorpusTrack], monkeypatch: pytest.MonkeyPatch) -> None:
    first = label(corpus, tracks[:1], MSD, MTT)
    before = (HEARD_MSD.windows, HEARD_MTT.windows)
    both = label(corpus, tracks, MSD, MTT)
    assert (HEARD_MSD.windows - before[0], HEARD_MTT.windows - before[1]) == (3, 3)  # the short one's stretch
    monkeypatch.setattr("encoders.training.pseudo_labels.decoded", None)  # calling it would fail
    again = label(corpus, tracks, MSD, MTT)
    np.testing.assert_array_equal(again.scores, both.scores)
    np.testing.assert_array_equal(again.scores[:2], first.scores)
    np.testing.assert_array_equal(again.offsets_s, both.offsets_s)


def test_another_teacher_is_asked_anew(corpus: Path, tracks: list[CorpusTrack]) -> None:
    label(corpus, tracks, MSD, MTT)
    newer, heard = teacher(MSD_TAGS, "msd-2")
    label(corpus, tracks, newer, MTT)
    assert heard.windows == 3 * WINDOWS_A_STRETCH


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "of other names"])
def test_a_damaged_label_file_is_made_anew(corpus: Path, tracks: list[CorpusTrack], damage: str) -> None:
    whole = label(corpus, tracks, MSD, MTT)
    for path in (corpus / "labels").rglob("*.npz"):
        content = path.read_bytes()
        if damage == "of other names":
            np.savez(path, other=np.zeros(3))
        else:
            path.write_bytes({"empty": b"", "cut": content[:-30], "foreign": b"not labels" * 20}[damage])
    anew = label(corpus, tracks, MSD, MTT)
    np.testing.assert_array_equal(anew.scores, whole.scores)
    np.testing.assert_array_equal(anew.offsets_s, whole.offsets_s)


def test_stretches_share_no_window_and_span_the_track() -> None:
    for n_windows in range(1, 400):
        starts = stretch_starts(n_windows)
        assert len(starts) == min(12, max(1, n_windows // WINDOWS_A_STRETCH))
        assert starts[0] == 0
        if n_windows >= WINDOWS_A_STRETCH:
            assert starts.max() + WINDOWS_A_STRETCH <= n_windows
        if len(starts) > 1:
            gaps = np.diff(starts)
            assert gaps.min() >= WINDOWS_A_STRETCH
            assert gaps.max() - gaps.min() <= 1
            assert starts[-1] == n_windows - WINDOWS_A_STRETCH
    assert stretch_starts(400).tolist() == [0, 36, 72, 108, 144, 180, 216, 252, 288, 324, 360, 397]


def test_labels_of_some_tracks_are_numbered_by_their_place() -> None:
    scores = np.arange(10, dtype=np.float32).reshape(5, 2)
    labels = PseudoLabels(np.array([0, 0, 1, 2, 2]), np.array([0.0, 9, 0, 0, 9]), scores)
    some = labels.of_tracks(np.array([2, 0]))
    assert some.tracks.tolist() == [1, 1, 0, 0]
    assert some.offsets_s.tolist() == [0, 9, 0, 9]
    assert some.scores.tolist() == scores[[0, 1, 3, 4]].tolist()
    nothing = labels.of_tracks(np.array([], np.int64))
    assert nothing.scores.shape == (0, 2)
    assert labels.of_tracks(np.array([7])).tracks.size == 0
