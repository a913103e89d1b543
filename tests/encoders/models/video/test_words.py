"""Words between pictures and music: scenes whose music anybody would name, and arithmetic by hand."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.errors import ShapeError
from encoders.loading import load_network
from encoders.models.video.efficientnet import class_names
from encoders.models.video.words import MOODS, SPEC, Reason, Words, mood_words
from encoders.tag_vocabulary import TAGS

Scores = NDArray[np.float32]


@pytest.fixture(scope="module")
def words() -> Words:
    network = load_network(SPEC, Path("nowhere"))[0]
    assert isinstance(network, Words)
    return network


def sure_of(*names: str) -> Scores:
    """As many frames as names, each of one class."""
    return np.stack([np.eye(1000, dtype=np.float32)[class_names().index(name)] for name in names])


def tag(scores: Scores, *names: str) -> float:
    return float(np.mean([scores[TAGS.index(name)] for name in names]))


@pytest.mark.parametrize(
    ("seen", "other", "tags"),
    [
        ("racer", "lakeside", ("fast", "loud", "rock", "hard rock")),
        ("lakeside", "racer", ("ambient", "new age", "quiet", "mellow")),
        ("church", "sports car", ("choir", "classical")),
        ("seashore", "church", ("chillout", "happy", "house")),
        ("barn", "cab", ("country", "folk")),
        ("cab", "barn", ("electro", "techno", "dance")),
        ("palace", "basketball", ("harpsichord", "classical")),
        ("basketball", "palace", ("hip hop", "beat", "funk")),
        ("tank", "cradle", ("metal", "loud")),
        ("cradle", "tank", ("soft", "quiet")),
        ("umbrella", "teddy", ("sad",)),
        ("teddy", "umbrella", ("happy", "party")),
        ("lion", "espresso", ("drums",)),
        ("espresso", "lion", ("jazz", "easy listening")),
    ],
)
def test_a_scene_has_its_music_rather_than_another(words: Words, seen: str, other: str, tags: tuple[str, ...]) -> None:
    assert tag(words.scores(sure_of(seen)), *tags) > 0.1 > tag(words.scores(sure_of(other)), *tags)


@pytest.mark.parametrize("instrument", ["violin", "cello", "harp", "flute"])
def test_an_instrument_that_is_seen_is_heard(words: Words, instrument: str) -> None:
    assert TAGS[words.scores(sure_of(instrument)).argmax()] == instrument
    assert TAGS[words.scores(sure_of("grand piano")).argmax()] == "piano"


@pytest.mark.parametrize(
    ("name", "friend"), [("rock crab", "rock"), ("chain mail", "metal"), ("water bottle", "ambient"), ("barn", "house")]
)
def test_what_only_sounds_alike_is_no_friend(words: Words, name: str, friend: str) -> None:
    assert tag(words.scores(sure_of(name)), friend) < 0.2


def test_who_sees_everything_alike_says_nothing(words: Words) -> None:
    scores = words.scores(np.full((3, 1000), 1e-3, np.float32))
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() < 0.05


def test_scores_are_the_mean_over_frames(words: Words) -> None:
    both = words.scores(sure_of("church", "racer"))
    np.testing.assert_allclose(both, (words.scores(sure_of("church")) + words.scores(sure_of("racer"))) / 2, atol=1e-6)
    for wrong in (np.zeros((0, 1000), np.float32), np.zeros((1, 999), np.float32), np.zeros(1000, np.float32)):
        with pytest.raises(ShapeError, match=r"\[frames, 1000\]"):
            words.scores(wrong)


def test_reasons_are_what_the_scores_are_made_of(words: Words) -> None:
    frames = sure_of("church", "church", "church", "racer")
    first, second = words.reasons(frames, count=2)
    expected = 0.75 * tag(words.scores(sure_of("church")), "choir")
    assert (first.word, first.tag) == ("church", "choir")
    assert first.weight == pytest.approx(expected)
    assert (second.word, second.tag) == ("racer", "fast")
    assert len(words.reasons(frames)) == 2  # what was not seen is no reason
    grey = float(words.mood_scores({"grey": 1.0}).max())
    assert words.reasons(frames, {"grey": 1.0}) == [Reason("grey", "sad", grey), first, second]


def test_moods_have_their_music(words: Words) -> None:
    alone = {word: words.mood_scores({word: 1.0}) for word in MOODS}
    assert tag(alone["bright"], "happy", "pop") > 0.2 > tag(alone["dark"], "happy", "pop")
    assert tag(alone["grey"], "sad") > 0.2 > tag(alone["colourful"], "sad")
    assert tag(alone["colourful"], "party") > 0.2 > tag(alone["grey"], "party")
    assert tag(alone["frantic"], "metal", "punk", "loud") > 0.2 > tag(alone["calm"], "metal", "punk", "loud")
    assert tag(alone["calm"], "quiet", "slow", "mellow") > 0.2 > tag(alone["fast"], "quiet", "slow", "mellow")
    assert tag(alone["fast"], "fast", "rock", "techno") > 0.2 > tag(alone["still"], "fast", "rock", "techno")
    np.testing.assert_allclose(words.mood_scores({"dark": 0.5}), alone["dark"] / 2)
    with pytest.raises(ValueError, match="no words for a mood: purple; there are dark, bright"):
        words.mood_scores({"purple": 1.0})


def test_how_a_clip_looks_and_moves_is_put_into_words() -> None:
    usual = {"brightness": 0.42, "warmth": 0.5, "saturation": 0.3, "motion": 0.09, "cuts_per_minute": 6.0}
    assert mood_words(**usual) == {"calm": 1.0}
    looks = {
        **{"dark": ("brightness", 0.1), "bright": ("brightness", 0.75), "cold": ("warmth", 0.4)},
        **{"warm": ("warmth", 0.62), "grey": ("saturation", 0.0), "colourful": ("saturation", 1.0)},
    }
    for word, (curve, value) in looks.items():
        assert mood_words(**{**usual, curve: value}) == pytest.approx({word: 1.0, "calm": 1.0})
    assert mood_words(**{**usual, "motion": 0.4}) == pytest.approx({"fast": 1.0})
    assert mood_words(**{**usual, "cuts_per_minute": 16.0}) == pytest.approx({"calm": 0.5, "fast": 0.5})
    assert mood_words(**{**usual, "cuts_per_minute": 45.0}) == pytest.approx({"fast": 0.5, "frantic": 0.5})
    assert mood_words(**{**usual, "motion": 1.0}) == {"frantic": 1.0}
    assert mood_words(**{**usual, "motion": 0.0, "cuts_per_minute": 0.0}) == {"still": 1.0}
    assert set(MOODS) == {*looks, "still", "calm", "fast", "frantic"}
