"""Mix the frames of one audio stream to mono and resample them to several rates, all inside one FFmpeg filter graph.

The channels are averaged by an explicit ``pan`` filter: swresample's own float down-mix gives each of two channels a
weight of 0.707, which lifts identical channels 3 dB above full scale. Values above full scale are kept, not clipped.
Channels that would cancel others are averaged with their sign turned (:mod:`encoders.media.polarity`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import av
import numpy as np
from av.filter import Graph

from encoders.media.polarity import Format, Signs, frame_format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from av.filter.context import FilterContext
    from numpy.typing import NDArray

# Few large frames instead of many small ones: two thirds of the time would go into Python otherwise.
_SAMPLES_PER_PULL = 1 << 16


class Mixdown:
    """Collects mono waveforms at several sample rates (Hz) from the frames of one stream.

    Parameters
    ----------
    sample_rates : Hz
    signs : of the channels, for the formats where the average is not to be the plain one
    """

    def __init__(self, sample_rates: Sequence[int], signs: Mapping[Format, Signs] | None = None) -> None:
        self._chunks: dict[int, list[NDArray[np.float32]]] = {rate: [] for rate in sample_rates}
        self._signs = signs or {}
        self._format: Format | None = None
        self._waiting = 0  # samples that were pushed since the last pull
        self._graph: Graph | None = None  # filter contexts do not keep their graph alive
        self._source: FilterContext | None = None
        self._sinks: dict[int, FilterContext] = {}

    def push(self, frame: av.AudioFrame) -> None:
        """Take in one decoded frame of any format, rate and channel count."""
        # A chained or damaged stream may change its format midway: a filter graph is bound to one.
        kind = frame_format(frame)
        if self._source is None or kind != self._format:
            self._flush()
            self._source = self._configure(frame, self._signs.get(kind))
            self._format = kind
        self._source.push(frame)
        self._waiting += frame.samples
        if self._waiting >= _SAMPLES_PER_PULL:
            self._pull()

    def finish(self) -> dict[int, NDArray[np.float32]]:
        """Return the waveform float32 [samples] of each sample rate; call once, after the last frame."""
        self._flush()
        empty = [np.empty(0, np.float32)]
        # Popping frees one rate's chunks before the next is joined.
        return {rate: np.concatenate(self._chunks.pop(rate) or empty) for rate in tuple(self._chunks)}

    def _configure(self, frame: av.AudioFrame, signs: Signs | None) -> FilterContext:
        """Build ``abuffer → mono average → one resampler and sink per rate`` for this frame's format."""
        self._graph = graph = Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name, time_base=frame.time_base
        )
        channels = frame.layout.nb_channels
        weights = (sign / channels for sign in signs or (1,) * channels)
        average = "".join(f"{weight:+}*c{channel}" for channel, weight in enumerate(weights)).removeprefix("+")
        split = graph.add("asplit", str(len(self._chunks)))
        _link(source, graph.add("aformat", "sample_fmts=fltp"), graph.add("pan", f"mono|c0={average}"), split)
        for output, rate in enumerate(self._chunks):
            resampler = graph.add("aresample", str(rate))
            split.link_to(resampler, output, 0)
            sink = graph.add("abuffersink")
            gather = graph.add("asetnsamples", f"n={_SAMPLES_PER_PULL}:p=0")
            _link(resampler, graph.add("aformat", f"sample_fmts=flt:sample_rates={rate}"), gather, sink)
            self._sinks[rate] = sink
        graph.configure()
        return source

    def _flush(self) -> None:
        if self._source is not None:
            self._source.push(None)
            self._pull()
            self._source = None

    def _pull(self) -> None:
        self._waiting = 0
        for rate, sink in self._sinks.items():
            while True:
                try:
                    frame = sink.pull()
                except (av.BlockingIOError, av.EOFError):
                    break
                if isinstance(frame, av.AudioFrame):
                    self._chunks[rate].append(frame.to_ndarray()[0])


def _link(*contexts: FilterContext) -> None:
    for upstream, downstream in itertools.pairwise(contexts):
        upstream.link_to(downstream)
