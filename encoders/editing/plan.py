"""What is done to bring a track to a length: which parts of it follow each other, how they are joined, at what cost.

Places are samples of the file at its own rate; beside them stand seconds, for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cut:
    """A part of the source, in seconds, that the programme chose; where it ends, the next one is jumped to."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Segment:
    """A part of the source, and where it comes in the output; all in samples."""

    start: int
    end: int
    output_start: int


@dataclass(frozen=True)
class Jump:
    """Where one segment gives way to the next.

    Attributes
    ----------
    from_sample, to_sample : of the source: the end of one segment, the start of the next
    cost : what the programme counted it as
    parts : what the cost is made of, by name
    fade_length : samples, around the jump
    shift : by how many samples the landing was moved for the waveforms to go together
    correlation : of the two waveforms around the jump, -1 … 1
    flux_percentile : share of the track's downbeats (of its steps, where it has no beats) that are as great a change of
        sound as the jump is or a smaller one, 0 … 100
    """

    from_sample: int
    to_sample: int
    cost: float
    parts: dict[str, float]
    fade_length: int
    shift: int
    correlation: float
    flux_percentile: float


@dataclass(frozen=True)
class Plan:
    """How a track becomes as long as was asked.

    Attributes
    ----------
    requested_s : what was asked
    length : samples of the output, the nearest to what was asked
    unit : what is jumped between: the track's ``beats``, or where it has none, ``steps`` of half a second
    segments : in the order of the output
    jumps : one fewer than segments
    trimmed : samples that were left out at the end
    padded : samples of silence that were put behind the end
    tail_fade_length : samples over which the output fades out, where its end is cut
    kept_s : the highlight that had to be in, if there was one
    """

    requested_s: float
    sample_rate: int
    channels: int
    length: int
    unit: str
    segments: tuple[Segment, ...]
    jumps: tuple[Jump, ...]
    trimmed: int
    padded: int
    tail_fade_length: int
    kept_s: tuple[float, float] | None

    @property
    def reached_s(self) -> float:
        """How long the output is."""
        return self.length / self.sample_rate

    @property
    def cost(self) -> float:
        """What all jumps cost together."""
        return sum(jump.cost for jump in self.jumps)

    def document(self) -> dict[str, Any]:
        """The plan as JSON."""

        def seconds(samples: int) -> float:
            return round(samples / self.sample_rate, 6)

        return {
            "requested_s": self.requested_s,
            "reached_s": seconds(self.length),
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "length_samples": self.length,
            "unit": self.unit,
            "keep": None if self.kept_s is None else {"start_s": self.kept_s[0], "end_s": self.kept_s[1]},
            "cost": round(self.cost, 4),
            "segments": [
                {
                    "source_start_s": seconds(segment.start),
                    "source_end_s": seconds(segment.end),
                    "output_start_s": seconds(segment.output_start),
                    "source_start_sample": segment.start,
                    "source_end_sample": segment.end,
                    "output_start_sample": segment.output_start,
                }
                for segment in self.segments
            ],
            "jumps": [
                {
                    "from_s": seconds(jump.from_sample),
                    "to_s": seconds(jump.to_sample),
                    "output_s": seconds(landing.output_start),
                    "cost": round(jump.cost, 4),
                    "parts": {name: round(part, 4) for name, part in jump.parts.items()},
                    "fade_s": seconds(jump.fade_length),
                    "shift_s": seconds(jump.shift),
                    "correlation": round(jump.correlation, 3),
                    "flux_percentile": round(jump.flux_percentile, 1),
                }
                for jump, landing in zip(self.jumps, self.segments[1:], strict=True)
            ],
            "end": {
                "trimmed_s": seconds(self.trimmed),
                "padded_s": seconds(self.padded),
                "fade_s": seconds(self.tail_fade_length),
            },
        }
