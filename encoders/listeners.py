"""What listens to music and makes no space of it, and what looks at clips, each with its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from encoders.analysis.accents import AccentTracker
from encoders.analysis.form.analyser import FormAnalyser
from encoders.analysis.languages import LanguageIdentifier, WhisperEar
from encoders.analysis.melody import MelodyTracker
from encoders.analysis.music import MusicAnalysis
from encoders.analysis.pictures import SEEN_VERSION, PictureAnalysis
from encoders.analysis.rhythm.tracker import RhythmTracker
from encoders.analysis.vocals import VocalDetector
from encoders.encoder import marked
from encoders.loading import has_weights, load_network, torch_device
from encoders.models.music.spectra import Listener
from encoders.models.video.efficientnet import made_fast
from encoders.registry import network_spec

if TYPE_CHECKING:
    from pathlib import Path

    from encoders.models.embeddings.video import VideoSpace
    from encoders.models.language.whisper import Whisper
    from encoders.models.music.key import KeyNet
    from encoders.models.music.melody import MelodyNet
    from encoders.models.music.rhythm import RhythmNet
    from encoders.models.music.structure import StructureNet
    from encoders.models.video.words import Words
    from encoders.models.vocals import VocalNet


def load_vocal_detector(weights_dir: Path) -> VocalDetector:
    """What finds voices in a track.

    Raises
    ------
    MissingWeightsError, CheckpointMismatchError
    """
    network, version = load_network(network_spec("vocals"), weights_dir)
    return VocalDetector(cast("VocalNet", network), version=version, device=torch_device("auto"))


def load_language_identifier(weights_dir: Path) -> LanguageIdentifier:
    """What finds the languages of voices; by words alone, where the weights of its ear are not here.

    Raises
    ------
    CheckpointMismatchError
    """
    spec = network_spec("whisper-base")
    if not has_weights(spec, weights_dir):
        return LanguageIdentifier(None)
    network, version = load_network(spec, weights_dir)
    return LanguageIdentifier(WhisperEar(cast("Whisper", network), version=version, device=torch_device("auto")))


def load_music_analysis(weights_dir: Path) -> MusicAnalysis:
    """What finds rhythm and key, form, melody and accents in a track, all of them in the same spectra.

    Raises
    ------
    MissingWeightsError, CheckpointMismatchError
    """
    listener, device = Listener(), torch_device("auto")
    structure, version = load_network(network_spec("structure"), weights_dir)
    return MusicAnalysis(
        load_rhythm_tracker(weights_dir, listener),
        FormAnalyser(cast("StructureNet", structure), listener, version=version, device=device),
        load_melody_tracker(weights_dir, listener),
        AccentTracker(listener),
    )


def load_rhythm_tracker(weights_dir: Path, listener: Listener) -> RhythmTracker:
    """What finds beats, bars and key of a track, in spectra that others hear as well.

    Raises
    ------
    MissingWeightsError, CheckpointMismatchError
    """
    rhythm, rhythm_version = load_network(network_spec("rhythm"), weights_dir)
    key, key_version = load_network(network_spec("key"), weights_dir)
    return RhythmTracker(
        cast("RhythmNet", rhythm),
        cast("KeyNet", key),
        listener,
        version=f"{rhythm_version}-{key_version}",
        device=torch_device("auto"),
    )


def load_melody_tracker(weights_dir: Path, listener: Listener) -> MelodyTracker:
    """What finds the melody of a track, or of a hum, in spectra that others may hear as well.

    Raises
    ------
    MissingWeightsError, CheckpointMismatchError
    """
    network, version = load_network(network_spec("melody"), weights_dir)
    return MelodyTracker(cast("MelodyNet", network), listener, version=version, device=torch_device("auto"))


def load_picture_analysis(weights_dir: Path) -> PictureAnalysis:
    """What looks at clips, and finds the place of each among music.

    Raises
    ------
    MissingWeightsError, CheckpointMismatchError
    """
    network, seeing = load_network(network_spec("efficientnet-lite0"), weights_dir)
    space, version = load_network(network_spec("video"), weights_dir)
    words, _ = load_network(network_spec("video-words"), weights_dir)
    return PictureAnalysis(
        made_fast(network),
        cast("VideoSpace", space).pictures.eval(),
        cast("Words", words.eval()),
        version=f"{SEEN_VERSION}-{seeing}",
        encoder_version=marked(version),
    )
