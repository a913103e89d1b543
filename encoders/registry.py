"""Which encoders there are, and the spec of each.

A new encoder is one module under :mod:`encoders.models` with an :class:`EncoderSpec` and one line in :data:`REGISTRY`,
or, from elsewhere, one entry of the setting ``SOUNDALIKE_ENCODERS``. No network is imported before its spec is asked
for, and torch with it: commands that encode nothing do not wait for that.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from encoders.errors import UnknownEncoderError
from encoders.spec import SHIPPED_WEIGHTS, EncoderSpec, NetworkSpec
from encoders.tag_vocabulary import KNOWN_TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REGISTRY: dict[str, str] = {
    "clmr-samplecnn": "encoders.models.embeddings.samplecnn:SPEC",
    "ear": "encoders.models.embeddings.ear:SPEC",
    "melcnn": "encoders.models.embeddings.melcnn:SPEC",
    "musicnn": "encoders.models.embeddings.musicnn:SPEC",
    "musicnn-mtt": "encoders.models.embeddings.musicnn:MTT_SPEC",
    "soundalike": "encoders.models.embeddings.soundalike:SPEC",
    "spectnt": "encoders.models.embeddings.spectnt:SPEC",
    "tagging": "encoders.models.embeddings.tagging:SPEC",
    "tagging-msd": "encoders.models.embeddings.tagging:MSD_SPEC",
    "tagging-msd-student": "encoders.models.embeddings.tagging:MSD_STUDENT_SPEC",
    "tagging-student": "encoders.models.embeddings.tagging:STUDENT_SPEC",
    "timbre": "encoders.models.embeddings.timbre:SPEC",
    "video": "encoders.models.embeddings.video:SPEC",
}
"""Encoder name → ``module:attribute`` of its :class:`EncoderSpec`."""

DEFAULTS: tuple[str, ...] = ("ear", "soundalike")
"""The spaces that are the default one after the other, newest first. A catalogue indexed in an older one answers in it
until the newer holds all of its tracks; the oldest has weights that are shipped, for where none can be fetched."""

BESIDE: tuple[str, ...] = ("video",)
"""Spaces that every catalogue is encoded in beside the default: what clips are asked in."""

USUAL_RATE_HZ = 22_050
"""The sample rate of nearly all: sound is decoded to it while the network is loaded that may want it."""

RENAMED: Mapping[str, str] = MappingProxyType({"clmr": "timbre"})
"""Name that an encoder had → the name it has: callers, weights files and indexes of before may still say it."""

SEEING = "efficientnet-lite0"
"""What sees what is in the frames of clips."""

LISTENERS: dict[str, str] = {
    "efficientnet-lite0": "encoders.models.video.efficientnet:SPEC",
    "key": "encoders.models.music.key:SPEC",
    "melody": "encoders.models.music.melody:SPEC",
    "rhythm": "encoders.models.music.rhythm:SPEC",
    "structure": "encoders.models.music.structure:SPEC",
    "video-words": "encoders.models.video.words:SPEC",
    "vocals": "encoders.models.vocals:SPEC",
    "whisper-base": "encoders.models.language.whisper:SPEC",
}
"""Networks that make no space: name → ``module:attribute`` of its :class:`NetworkSpec`."""

_NONE: Mapping[str, str] = MappingProxyType({})


def encoder_names(also: Mapping[str, str] = _NONE) -> tuple[str, ...]:
    """Return the registered names and the user's own, sorted."""
    return tuple(sorted({*REGISTRY, *also}))


def encoder_spec(name: str, also: Mapping[str, str] = _NONE) -> EncoderSpec:
    """Find the spec of a registered encoder, or of any by ``module:attribute``.

    Parameters
    ----------
    also : the user's own encoders, name → ``module:attribute``; the attribute is a spec, or a function that makes one

    Raises
    ------
    UnknownEncoderError
        If the name is not registered, or what it points to is not there or no spec.
    """
    known = {**{old: REGISTRY[new] for old, new in RENAMED.items()}, **REGISTRY, **also}
    module_name, _, attribute = known.get(name, name).partition(":")
    if not attribute:
        raise UnknownEncoderError(name, encoder_names(also))
    try:
        value = getattr(importlib.import_module(module_name), attribute)
        spec = value() if callable(value) else value
    except (ImportError, AttributeError, TypeError) as error:
        raise UnknownEncoderError(name, encoder_names(also), error) from error
    except (Exception, SystemExit) as error:  # a function of another kind does whatever it does
        cause = f"{module_name}:{attribute} makes no EncoderSpec: {type(error).__name__}: {error}"
        raise UnknownEncoderError(name, encoder_names(also), cause) from error
    if not isinstance(spec, EncoderSpec):
        made = "makes" if callable(value) else "is"
        cause = f"{module_name}:{attribute} {made} {type(spec).__name__}, not EncoderSpec"
        raise UnknownEncoderError(name, encoder_names(also), cause)
    return replace(spec, name=name) if name in also else spec


def network_spec(name: str, also: Mapping[str, str] = _NONE) -> NetworkSpec:
    """Find the spec of a network, be it an encoder's, as :func:`encoder_spec` does, or a listener's.

    Raises
    ------
    UnknownEncoderError
        If the name is of neither.
    """
    if name not in LISTENERS or name in also:
        return encoder_spec(name, also)
    module_name, _, attribute = LISTENERS[name].partition(":")
    spec: NetworkSpec = getattr(importlib.import_module(module_name), attribute)
    return spec


def known_tags(also: Mapping[str, str] = _NONE) -> frozenset[str]:
    """Every tag that an encoder may give a track; the user's own encoders are imported for theirs.

    Raises
    ------
    UnknownEncoderError
        If one of the user's own is no spec.
    """
    return KNOWN_TAGS.union(*(encoder_spec(name, also).tags for name in also))


def weights_path(name: str, weights_dir: Path) -> Path | None:
    """Where a network's weights lie, of any name that it had: the user's, else those shipped; none for neither."""
    former = (old for old, new in RENAMED.items() if new == name)
    own = (weights_dir / f"{one}.safetensors" for one in (name, *former))
    paths = (*own, SHIPPED_WEIGHTS / f"{name}.safetensors")
    return next((path for path in paths if path.is_file()), None)
