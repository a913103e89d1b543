"""Networks, each loaded when it is first asked for: torch is imported then, and what hears nothing does not wait."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from encoders.errors import UPLOAD
from encoders.registry import USUAL_RATE_HZ, network_spec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from encoders.analysis.music import MusicAnalysis
    from encoders.analysis.pictures import PictureAnalysis
    from encoders.analysis.voices import VoiceAnalysis
    from encoders.encoder import Encoder
    from encoders.media.decoded import DecodedAudio, MediaLimits

logger = logging.getLogger(__name__)


class LoadedEncoders:
    """Encoders by name, each loaded at its first use and then shared between threads.

    Attributes
    ----------
    weights_dir : the user's weights
    also : encoders of the user's own, name → ``module:attribute``
    """

    def __init__(self, weights_dir: Path, also: Mapping[str, str]) -> None:
        self.weights_dir = weights_dir
        self.also = also
        self._loaded: dict[str, Encoder] = {}
        self._voices: VoiceAnalysis | None = None
        self._music: MusicAnalysis | None = None
        self._pictures: PictureAnalysis | None = None
        self._lock = threading.Lock()

    def __call__(self, name: str, version: str | None = None) -> Encoder:
        """The encoder of this name; of this version, where it is one of the weights that are here.

        Raises
        ------
        UnknownEncoderError, MissingWeightsError, CheckpointMismatchError
        """
        from encoders.loading import load_encoder  # torch: a command that encodes nothing does not wait for it

        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_encoder(name, weights_dir=self.weights_dir, also=self.also)
            encoder = self._loaded[name]
        return encoder if version is None else encoder.of_version(version)

    def with_waveform(
        self, name: str, version: str, sound: Path | bytes, limits: MediaLimits
    ) -> tuple[Encoder, NDArray[np.float32]]:
        """An encoder and what it is to hear; where it is not loaded yet, another process decodes meanwhile.

        Raises
        ------
        UnknownEncoderError, MissingWeightsError, CheckpointMismatchError, MediaError
        """
        from encoders.media.decoder_process import decode_beside

        if name in self._loaded:
            encoder = self(name, version)
            return encoder, waveform_in(sound, encoder.spec.sample_rate, limits)
        with ThreadPoolExecutor(1) as beside:
            decoding = beside.submit(decode_beside, sound, sample_rates=[USUAL_RATE_HZ], limits=limits)
            encoder = self(name, version)
            if encoder.spec.sample_rate == USUAL_RATE_HZ:
                return encoder, _whole_or_told(decoding.result(), sound).waveforms[USUAL_RATE_HZ]
        return encoder, waveform_in(sound, encoder.spec.sample_rate, limits)

    def are_here(self, name: str) -> bool:
        """Whether this network's weights are here, so that it can be loaded."""
        from encoders.loading import has_weights

        if name in self._loaded or (self._voices is not None and name == "vocals"):
            return True  # without reading its file once more
        return has_weights(network_spec(name, self.also), self.weights_dir)

    def voices(self) -> VoiceAnalysis:
        """What listens to voices: their language too, where the weights for it are here.

        Raises
        ------
        MissingWeightsError, CheckpointMismatchError
        """
        from encoders.analysis.voices import VoiceAnalysis
        from encoders.listeners import load_language_identifier, load_vocal_detector

        with self._lock:
            if self._voices is None:
                vocals = load_vocal_detector(self.weights_dir)
                self._voices = VoiceAnalysis(vocals, load_language_identifier(self.weights_dir))
            return self._voices

    def pictures(self) -> PictureAnalysis:
        """What looks at clips.

        Raises
        ------
        MissingWeightsError, CheckpointMismatchError
        """
        from encoders.listeners import load_picture_analysis

        with self._lock:
            if self._pictures is None:
                self._pictures = load_picture_analysis(self.weights_dir)
            return self._pictures

    def music(self) -> MusicAnalysis:
        """What finds rhythm, form and melody; its weights are shipped.

        Raises
        ------
        MissingWeightsError, CheckpointMismatchError
        """
        from encoders.listeners import load_music_analysis

        with self._lock:
            if self._music is None:
                self._music = load_music_analysis(self.weights_dir)
            return self._music


def waveform_in(sound: Path | bytes, sample_rate: int, limits: MediaLimits) -> NDArray[np.float32]:
    """A file's sound; the bytes of one came from elsewhere, and are decoded under supervision. A part is told as one.

    Raises
    ------
    MediaError
        If it cannot be decoded, or is silent.
    """
    from encoders.media.decode import decode
    from encoders.media.decoder_process import decode_untrusted

    if isinstance(sound, bytes):
        decoded = decode_untrusted(sound, sample_rates=[sample_rate], limits=limits)
    else:
        decoded = decode(sound, sample_rates=[sample_rate], limits=limits)
    return _whole_or_told(decoded, sound).waveforms[sample_rate]


def _whole_or_told(decoded: DecodedAudio, sound: Path | bytes) -> DecodedAudio:
    if decoded.partial:
        logger.warning(
            "%s: heard as far as it goes: %s", UPLOAD if isinstance(sound, bytes) else sound, decoded.partial
        )
    return decoded
