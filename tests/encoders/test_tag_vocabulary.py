"""The tag list that MusiCNN's two models share: every name is theirs, and scores merge as worked by hand."""

from collections.abc import Mapping

import numpy as np
import pytest

from encoders.models.embeddings.musicnn import MSD_TAGS, MTT_TAGS
from encoders.tag_vocabulary import MSD_NAMES, MTT_NAMES, OPPOSITES, TAGS, agreeing
from encoders.training.pseudo_labels import merged

LEFT_OUT = {"beautiful", "sexy", "catchy", "weird", "oldies", "60s", "70s", "80s", "90s", "00s"}


@pytest.mark.parametrize(("names", "known"), [(MSD_NAMES, MSD_TAGS), (MTT_NAMES, MTT_TAGS)])
def test_every_name_of_a_model_is_used_once_or_left_out(
    names: Mapping[str, tuple[str, ...]], known: tuple[str, ...]
) -> None:
    used = [name for synonyms in names.values() for name in synonyms]
    assert len(used) == len(set(used))
    assert set(used) == set(known) - LEFT_OUT


def test_tags_are_different_and_lower_case() -> None:
    assert len(TAGS) == len(set(TAGS))
    assert set(TAGS) == {*MSD_NAMES, *MTT_NAMES}
    assert all(tag == tag.lower() for tag in TAGS)


def test_scores_merge_by_hand() -> None:
    """The largest of the synonyms within a model, and the mean over models that know the thing."""
    msd = {"electronic": 0.2, "electronica": 0.6, "female vocalist": 0.1, "House": 0.8, "beautiful": 0.9}
    mtt = {"electronic": 0.4, "woman": 0.7, "female": 0.5, "sitar": 0.25, "no voice": 0.6, "weird": 0.9}
    rows = [
        np.array([[said.get(name, 0.0) for name in known], [0.0] * 50], np.float32)
        for said, known in ((msd, MSD_TAGS), (mtt, MTT_TAGS))
    ]
    heard, nothing = merged(*rows)
    expected = {"electronic": 0.5, "female vocals": 0.4, "house": 0.8, "sitar": 0.25, "instrumental": 0.3}
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, [expected.get(tag, 0.0) for tag in TAGS], atol=1e-6)
    np.testing.assert_array_equal(nothing, 0)


def test_scores_of_one_are_one() -> None:
    ones = np.ones((2, 50), np.float32)
    np.testing.assert_array_equal(merged(ones, ones), np.ones((2, len(TAGS))))


def test_of_tags_that_contradict_each_other_the_first_stays() -> None:
    assert agreeing(["fast", "rock", "slow", "loud", "soft", "quiet"]) == ["fast", "rock", "loud"]
    assert agreeing(["soft", "quiet", "loud"]) == ["soft", "quiet"]
    assert all(pair <= set(TAGS) and len(pair) == 2 for pair in OPPOSITES)
