"""Features kept beside a corpus: what the network makes of the whole waveform, computed once for what it was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.media.decoded import MediaLimits
from encoders.models.embeddings.tagging import STUDENT_SPEC
from encoders.models.embeddings.timbre import StatisticsNet
from encoders.training.corpus import CorpusTrack, decoded, prepare, read_corpus
from encoders.training.features import Features, FrontEnd, load_features, whole_track

NETWORKS: list[Callable[[], FrontEnd]] = [StatisticsNet, STUDENT_SPEC.build]  # type: ignore[list-item]


@pytest.fixture
def corpus(tmp_path: Path, write_wav: Callable[..., Path], rng: np.random.Generator) -> Path:
    """Three tracks of noise, of 3, 4 and 5 s."""
    for seconds in (3, 4, 5):
        noise = rng.normal(0, 0.1, seconds * 16_000).astype(np.float32)
        write_wav(tmp_path / "music" / f"{seconds}.wav", noise)
    sources = [(path.name, path) for path in sorted((tmp_path / "music").iterdir())]
    assert all(done.track for done in prepare(sources, tmp_path / "corpus", limits=MediaLimits()))
    return tmp_path / "corpus"


@pytest.fixture
def tracks(corpus: Path) -> list[CorpusTrack]:
    return read_corpus(corpus)


@pytest.mark.parametrize("build", NETWORKS)
def test_piece_by_piece_is_the_whole(
    build: Callable[[], FrontEnd], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("encoders.training.features._PIECE_S", 1)
    network = build()
    for samples in (22_050, 110_250, 110_251, 4 * 2048 * 10):
        waveform = torch.from_numpy(rng.normal(0, 0.1, samples).astype(np.float32))
        whole = network.features(waveform[None])[0].mT
        assert len(whole) == 1 + samples // network.hop_length
        torch.testing.assert_close(whole_track(waveform, network), whole, atol=1e-2, rtol=0)


@pytest.mark.parametrize("build", NETWORKS)
def test_what_is_kept_is_what_the_network_hears(
    build: Callable[[], FrontEnd], corpus: Path, tracks: list[CorpusTrack], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build()
    features = load_features(corpus, tracks, network)
    assert len(features) == 3
    assert features.per_second == network.sample_rate / network.hop_length
    for number, track in enumerate(tracks):
        waveform = torch.from_numpy(decoded(corpus, track, sample_rate=network.sample_rate))
        whole = network.features(waveform[None])[0]
        assert features.lengths()[number] == whole.shape[1]
        kept = features.crops(np.array([number]), np.array([0]), whole.shape[1])[0]
        torch.testing.assert_close(kept, whole, atol=0, rtol=2**-11 + 1e-4)  # half precision
    monkeypatch.setattr("encoders.training.features.decoded", None)  # calling it would fail
    again = load_features(corpus, tracks, network)
    assert torch.equal(again.values, features.values)
    assert not list((corpus / "features").glob("*.part"))


def test_another_front_end_and_other_tracks_are_kept_apart(corpus: Path, tracks: list[CorpusTrack]) -> None:
    timbre, tagging = (build() for build in NETWORKS)
    sizes = [
        tuple(load_features(corpus, some, network).values.shape)
        for some, network in ((tracks, timbre), (tracks, tagging), (tracks[:2], timbre), (tracks[::-1], timbre))
    ]
    assert len(list((corpus / "features").glob("*.f16"))) == 4
    assert [bins for _, bins in sizes] == [174, 128, 174, 174]
    assert sizes[2][0] < sizes[0][0] == sizes[3][0]


def test_a_kill_while_features_are_computed_costs_only_time(
    corpus: Path, tracks: list[CorpusTrack], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(directory: Path, track: CorpusTrack, *, sample_rate: int) -> np.ndarray:
        if track == tracks[-1]:
            raise KeyboardInterrupt
        return decoded(directory, track, sample_rate=sample_rate)

    network = StatisticsNet()
    with monkeypatch.context() as patched:
        patched.setattr("encoders.training.features.decoded", killed)
        with pytest.raises(KeyboardInterrupt):
            load_features(corpus, tracks, network)
    assert len(load_features(corpus, tracks, network)) == 3


@pytest.fixture
def numbered() -> Features:
    """Tracks of 3, 4 and 5 frames of two bins; every value says where it stands."""
    frames = torch.arange(24, dtype=torch.float16).view(12, 2)
    return Features(frames, np.array([0, 3, 7, 12]), 10.0)


def test_crops_are_cut_from_their_tracks(numbered: Features) -> None:
    crops = numbered.crops(np.array([2, 0]), np.array([1, 0]), 3)
    assert crops.dtype == torch.float32
    assert crops.tolist() == [[[16, 18, 20], [17, 19, 21]], [[0, 2, 4], [1, 3, 5]]]


def test_a_part_holds_only_its_tracks(numbered: Features) -> None:
    part = numbered.part(1, 3)
    assert len(part) == 2
    assert part.lengths().tolist() == [4, 5]
    assert part.per_second == numbered.per_second
    for number in (0, 1):
        here, there = (
            of.crops(np.array([row]), np.array([1]), 3) for of, row in ((part, number), (numbered, number + 1))
        )
        assert torch.equal(here, there)
    assert numbered.part(0, 1).lengths().tolist() == [3]
