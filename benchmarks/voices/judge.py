"""How well voices and languages are heard, on voices and music that nothing was learnt from.

    python -m benchmarks.voices.judge --voices FOLDER --music CORPUS --words FOLDER [--part test] [--weights DIR]

FOLDER holds `spoken.tsv` and `sung.tsv` (`soundalike train voices`), CORPUS packages of music (`soundalike train
corpus`), the folder of words a text a language. Parts are those of `encoders.training.voices.parts`: constants were
chosen on `validation`, and `test` is for the last look.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.voices.cached import CachedEar
from benchmarks.voices.tracks import TRACK_S, Judged, Words, of_two, single
from encoders.analysis.languages import LanguageIdentifier, Languages, WhisperEar
from encoders.analysis.vocal_spans import Vocals, VocalSpan
from encoders.analysis.vocals import VocalDetector
from encoders.listeners import load_vocal_detector
from encoders.loading import load_network, torch_device
from encoders.media.loudness import normalised
from encoders.models import vocals as vocal_models
from encoders.models.language.codes import UNKNOWN, normal_code
from encoders.models.language.text import TrackText, read_text
from encoders.registry import network_spec
from encoders.training.corpus import decoded, read_corpus
from encoders.training.rendering import chance
from encoders.training.voices.clips import SAMPLE_RATE
from encoders.training.voices.effects import choir, hum, vocoder
from encoders.training.voices.parts import Beds, Part, Voices, part_of_music, read_beds, read_voices

INSTRUMENTAL = 0.1
"""A vocal ratio below it is called instrumental."""
CLAIMED = 0.5
Heard = tuple[Judged, Vocals]


class Detects(Protocol):
    """What finds voices."""

    def detect(self, waveform: NDArray[np.float32]) -> Vocals:
        """The voices in a track, float32 [samples] at 16 kHz."""


class Published:
    """The published detector by its own events: what is 0.5 or more of speech or singing over a second is a voice."""

    def __init__(self) -> None:
        self._network = vocal_models.VocalNet()
        self._network.detector.load_state_dict(vocal_models.released()[0])

    def detect(self, waveform: NDArray[np.float32]) -> Vocals:
        """As :class:`Detects`; spans of a second."""
        with torch.inference_mode():
            energies = self._network.energies(torch.from_numpy(normalised(waveform, SAMPLE_RATE)))
            events = self._network.detector(energies[None])[0, :, -3:-1].sigmoid().numpy()
        seconds = [events[start : start + 100].mean(axis=0) for start in range(0, len(events), 100)]
        spans = tuple(
            VocalSpan(float(number), number + 1.0, ("speech", "singing")[int(second.argmax())], float(second.max()))
            for number, second in enumerate(seconds)
            if second.max() >= 0.5
        )
        return Vocals(spans, len(spans) / len(seconds), 0.0, 1.0)


def balanced(truth: Sequence[bool], said: Sequence[bool]) -> float:
    """Mean of the shares of either kind that are said right."""
    right = np.array(truth) == np.array(said)
    return float(np.mean([right[np.array(truth) == kind].mean() for kind in (True, False)]))


def vocal_seconds(vocals: Vocals, seconds: int) -> list[bool]:
    """Whether somebody is heard for half of each second."""
    voiced = [
        sum(max(0.0, min(span.end_s, second + 1) - max(span.start_s, second)) for span in vocals.spans)
        for second in range(seconds)
    ]
    return [one >= 0.5 for one in voiced]


def judge_vocals(name: str, detector: Detects, tracks: Iterable[Judged]) -> None:
    """Balanced accuracy over seconds, the error of the ratio, and singing told from speech."""
    by_kind: dict[str, list[tuple[list[bool], list[bool], float, float, str]]] = defaultdict(list)
    for track in tracks:
        vocals = detector.detect(track.waveform)
        truth = [second is not None for second in track.truth.seconds()]
        told = Counter(span.kind for span in vocals.spans for _ in range(round(10 * (span.end_s - span.start_s))))
        kind = told.most_common(1)[0][0] if told else "none"
        by_kind[track.kind].append(
            (truth, vocal_seconds(vocals, len(truth)), float(np.mean(truth)), vocals.vocal_ratio, kind)
        )
    for kind, rows in by_kind.items():
        truth, said = ([second for row in rows for second in row[i]] for i in (0, 1))
        error = np.mean([abs(row[2] - row[3]) for row in rows])
        right = np.mean([row[4] == ("singing" if kind == "sung" else "speech") for row in rows])
        print(f"| {name}, {kind} | {len(rows)} | {balanced(truth, said):.3f} | {error:.3f} | {right:.2f} |")


def judge_instrumental(name: str, detector: Detects, corpus: Path, part: Part) -> None:
    """Share of each package's tracks that are called instrumental."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for track in read_corpus(corpus):
        if part_of_music(track.group) == part:
            ratios[track.group].append(detector.detect(decoded(corpus, track, sample_rate=SAMPLE_RATE)).vocal_ratio)
    for package, some in {**ratios, "all": [ratio for each in ratios.values() for ratio in each]}.items():
        instrumental = np.mean(np.array(some) < INSTRUMENTAL)
        print(f"| {name}, {package} | {len(some)} | {instrumental:.3f} | {np.mean(some):.3f} |")


class Languageness:
    """Answers about tracks in one language: what the largest share is, and how sure."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[tuple[str, str, float]] = []

    def add(self, truth: str, found: Languages) -> None:
        """One track's answer; `unknown` where it has the largest share."""
        named = {code: ratio for code, ratio in found.ratios.items() if code != UNKNOWN}
        best = max(named, key=lambda code: named[code], default=UNKNOWN)
        self.rows.append((truth, best, named.get(best, 0.0)))

    def print(self, *, languages: bool = False) -> None:
        """Accuracy, macro-F1, and what is claimed wrongly."""
        truths = sorted({truth for truth, _, _ in self.rows})
        f1 = []
        for code in truths:
            hits = sum(truth == best == code for truth, best, _ in self.rows)
            named = sum(best == code for _, best, _ in self.rows)
            there = sum(truth == code for truth, _, _ in self.rows)
            f1.append(2 * hits / (named + there))
        right = np.mean([truth == best for truth, best, _ in self.rows])
        claimed = [(truth, best) for truth, best, ratio in self.rows if ratio >= CLAIMED]
        wrong = sum(truth != best for truth, best in claimed) / len(self.rows)
        print(
            f"| {self.name} | {len(self.rows)} | {len(truths)} | {right:.3f} | {np.mean(f1):.3f} | "
            f"{len(claimed) / len(self.rows):.3f} | {wrong:.3f} |"
        )
        if languages:
            cells = [
                f"{code} {np.mean([best == code for truth, best, _ in self.rows if truth == code]):.2f}"
                f" ({sum(truth == code for truth, _, _ in self.rows)})"
                for code in truths
            ]
            print("\n" + ", ".join(cells) + "\n")
            errors = Counter((truth, best) for truth, best, ratio in self.rows if truth != best and ratio >= CLAIMED)
            print("claimed wrongly:", ", ".join(f"{a}→{b} {n}" for (a, b), n in errors.most_common(12)), "\n")


NOTHING = TrackText()


def judge_languages(identifiers: Mapping[str, LanguageIdentifier], heard: Sequence[Heard], words: Words) -> None:
    """One language a track: by ear, by words, by both, and with one of them lying."""
    tables = {
        name: Languageness(name)
        for name in ("audio", "title", "lyrics", "audio + title", "audio + lyrics", "lying lyrics", "lying title")
    }
    for number, (track, vocals) in enumerate(heard):
        truth, rng = normal_code(track.speaker[0]) or track.speaker[0], chance(f"words {number}", 1)
        title, lyrics = words.of(truth, rng, lyrics=False), words.of(truth, rng, lyrics=True)
        lie = words.another(truth, rng)
        lying = words.of(lie, rng, lyrics=True), words.of(lie, rng, lyrics=False)
        ear, deaf = identifiers["ear"], identifiers["words"]
        for name, identifier, text in (
            ("audio", ear, NOTHING),
            ("title", deaf, title),
            ("lyrics", deaf, lyrics),
            ("audio + title", ear, title),
            ("audio + lyrics", ear, lyrics),
            ("lying lyrics", ear, lying[0]),
            ("lying title", ear, lying[1]),
        ):
            tables[name].add(truth, identifier.identify(track.waveform, vocals, read_text(text)))
    for name, table in tables.items():
        table.print(languages=name == "audio")


def judge_two(identifier: LanguageIdentifier, heard: Sequence[Heard]) -> None:
    """Two languages a track: mean absolute error of either's share, and what went to others and to unknown."""
    errors, other, unknown, of_both = [], [], [], []
    for track, vocals in heard:
        found = identifier.identify(track.waveform, vocals, read_text(NOTHING)).ratios
        shares = {normal_code(code) or code: share for code, share in track.truth.shares().items()}
        of_track = [abs(found.get(code, 0.0) - share) for code, share in shares.items()]
        errors += of_track
        of_both += of_track if all(code in found for code in shares) else []
        unknown.append(found.get(UNKNOWN, 1.0))
        other.append(sum(ratio for code, ratio in found.items() if code not in (*shares, UNKNOWN)))
    both = f"{np.mean(of_both):.3f} ({len(of_both) // 2})" if of_both else "–"
    print(f"| {len(heard)} | {np.mean(errors):.3f} | {both} | {np.mean(other):.3f} | {np.mean(unknown):.3f} |")


def judge_reliability(identifier: LanguageIdentifier, heard: Sequence[Heard]) -> None:
    """How often the likeliest language of a span is right, by how likely it is, whether it would be named or not."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for track, vocals in heard:
        truth = normal_code(track.speaker[0]) or track.speaker[0]
        for span in identifier.identify(track.waveform, vocals, read_text(NOTHING)).spans:
            bins[min(9, int(span.confidence * 10))].append((span.confidence, span.language == truth))
    for number in sorted(bins):
        some = bins[number]
        print(
            f"| {number / 10:.1f}–{number / 10 + 0.1:.1f} | {len(some)} | {np.mean([c for c, _ in some]):.3f} | "
            f"{np.mean([right for _, right in some]):.3f} |"
        )


def judge_wordless(identifier: LanguageIdentifier, detector: VocalDetector, heard: Sequence[Heard]) -> None:
    """Voices without words, or with words that are hard to hear: what is claimed of them."""
    for name in ("hum", "vocoder", "choir"):
        claims, right, ratios = [], [], []
        for number, (track, _) in enumerate(heard):
            rng = chance(f"{name} {number}", 1)
            voice = track.truth.voices
            made = {"hum": hum, "vocoder": vocoder}[name](voice, rng) if name != "choir" else choir([voice] * 4, rng)
            waveform = made + 0.5 * (track.truth.waveform - voice)
            vocals = detector.detect(waveform)
            found = identifier.identify(waveform, vocals, read_text(NOTHING)).ratios
            named = {code: ratio for code, ratio in found.items() if code != UNKNOWN and ratio >= CLAIMED}
            claims.append(bool(named))
            right.append((normal_code(track.speaker[0]) or track.speaker[0]) in named)
            ratios.append(vocals.vocal_ratio)
        print(f"| {name} | {len(claims)} | {np.mean(ratios):.2f} | {np.mean(claims):.2f} | {np.mean(right):.2f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--music", type=Path, required=True)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--part", type=Part, choices=list(Part), default=Part.TEST)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--each", type=int, default=2, help="tracks a speaker")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    voices = read_voices([arguments.voices / "spoken.tsv", arguments.voices / "sung.tsv"], arguments.part)
    beds = read_beds(arguments.music, arguments.part)
    detector = load_vocal_detector(arguments.weights)
    network, version = load_network(network_spec("whisper-base"), arguments.weights)
    identifier = LanguageIdentifier(CachedEar(WhisperEar(network, version=version, device=torch_device("auto"))))  # type: ignore[arg-type]
    identifiers = {
        "ear": identifier,
        "words": LanguageIdentifier(None),
        "unsure": LanguageIdentifier(identifier.ear, sure=0.0),
    }
    run(detector, identifiers, voices, beds, arguments)


def run(
    detector: VocalDetector,
    identifiers: Mapping[str, LanguageIdentifier],
    voices: Voices,
    beds: Beds,
    arguments: argparse.Namespace,
) -> None:
    """Everything, one table after the other."""
    each, identifier = arguments.each, identifiers["ear"]
    print(f"{machine()}; part: {arguments.part}, {len(beds.waveforms)} tracks of music\n")
    print("| voices | tracks | balanced accuracy, seconds | error of the ratio | kind right |")
    print("|---|---|---|---|---|")
    published = Published()
    for snr_db in (None, 0.0, 6.0):
        name = "-12 to +12 dB" if snr_db is None else f"{snr_db:+.0f} dB"
        tracks = [t for kind in ("recorded", "sung") for t in single(voices, beds, kind, each=each, snr_db=snr_db)]
        judge_vocals(name, detector, tracks)
        judge_vocals(f"{name}, published detector", published, tracks)
    print("\n| music alone | tracks | called instrumental | mean vocal ratio |\n|---|---|---|---|")
    judge_instrumental("vocals", detector, arguments.music, arguments.part)
    judge_instrumental("published detector", published, arguments.music, arguments.part)
    for kind in ("recorded", "synthesised", "sung"):
        heard = [(t, detector.detect(t.waveform)) for t in single(voices, beds, kind, each=each, snr_db=0.0)]
        if not heard:
            continue
        title = f"{kind}, {TRACK_S:.0f} s at 0 dB"
        print(f"\n| {title} | tracks | languages | accuracy | macro-F1 | claimed | claimed wrongly |")
        print("|---|---|---|---|---|---|---|")
        judge_languages(identifiers, heard, Words(arguments.words))
        print("| confidence | spans | mean | right |\n|---|---|---|---|")
        judge_reliability(identifiers["unsure"], heard)
        print("\n| without clear words | tracks | vocal ratio | claimed | rightly |\n|---|---|---|---|---|")
        judge_wordless(identifier, detector, heard[:: max(1, len(heard) // 20)])
    print("\n| two languages | error of a share | where both are named | to others | unknown |\n|---|---|---|---|---|")
    two = [(t, detector.detect(t.waveform)) for t in of_two(voices, beds, ("recorded",), 60)]
    judge_two(identifier, two)


if __name__ == "__main__":
    main()
