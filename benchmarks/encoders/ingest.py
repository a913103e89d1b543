"""Ingest speed against decoding alone, over the same files in the same run, in turn.

    python -m benchmarks.encoders.ingest [FOLDER] [--rounds 3] [--voices]

Speed is in three-minute tracks a second: seconds of audio / 180 / seconds of wall time. Without FOLDER the free music
of `make demo` is taken. Every round ingests into a new catalogue on the embedded PostgreSQL, and with --voices once
more, listening to voices too.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from api.settings import Settings, read_settings
from api.wiring import open_soundalike
from benchmarks.machine import machine
from encoders.media.decode import decode
from encoders.registry import encoder_spec
from encoders.spec import EncoderSpec
from indexer.jobs import IngestReport
from indexer.packs.fetch import default_pack, fetch_pack
from indexer.scan import ScannedFile, scan
from indexer.stages.registry import Analyses

TRACK_S = 180.0


def decode_alone(files: list[ScannedFile], spec: EncoderSpec, settings: Settings) -> tuple[float, float]:
    """Wall seconds and seconds of audio of decoding every file for the encoder."""

    def duration_s(file: ScannedFile) -> float:
        return decode(file.path, sample_rates=[spec.sample_rate], limits=settings.media_limits).duration_s

    start = time.perf_counter()
    with ThreadPoolExecutor(settings.decode_threads) as threads:
        audio_s = sum(threads.map(duration_s, files))
    return time.perf_counter() - start, audio_s


def ingest(folder: Path, settings: Settings, *, voices: bool = False) -> tuple[float, IngestReport]:
    """Wall seconds of a whole ingest, the index included, and its report."""
    with tempfile.TemporaryDirectory(prefix="soundalike-bench-") as home:
        alone = replace(settings, home=Path(home), database_url=None)
        with open_soundalike(alone) as here:
            encoder = here.encoder(settings.space)
            listening = Analyses(here.encoder.voices() if voices else None)
            start = time.perf_counter()
            report = here.index_folder(folder, [encoder], analyses=listening)
            return time.perf_counter() - start, report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--voices", action="store_true")
    arguments = parser.parse_args()
    settings = read_settings()
    spec = encoder_spec(settings.space, settings.encoders)
    folder = arguments.folder or fetch_pack(default_pack(), settings.packs_dir).music
    files = scan(folder, on_error=lambda uri, reason: print(uri, reason))

    print(machine())
    print(f"{len(files)} files of {folder.name}, encoder {spec.name}, {settings.decode_threads} decode threads")
    ratios, shares = [], []
    for number in range(arguments.rounds):
        decode_s, audio_s = decode_alone(files, spec, settings)
        ingest_s, report = ingest(folder, settings)
        busy = sum(report.seconds.values())
        share = {stage: seconds / busy for stage, seconds in report.seconds.items()}
        ratios.append(decode_s / ingest_s)
        shares.append(share)
        print(
            f"round {number + 1}: decode alone {audio_s / TRACK_S / decode_s:.2f} tracks/s, "
            f"ingest {report.audio_s / TRACK_S / ingest_s:.2f} tracks/s ({report.counts}), "
            + ", ".join(f"{stage} {part:.1%}" for stage, part in share.items())
        )
        if arguments.voices:
            listening_s, listened = ingest(folder, settings, voices=True)
            core_s = {stage: listened.seconds[stage] for stage in ("vocals", "language")}
            tracks = listened.audio_s / TRACK_S
            print(
                f"  with voices {tracks / listening_s:.2f} tracks/s; "
                + ", ".join(f"{stage} {seconds / tracks:.3f} s a track" for stage, seconds in core_s.items())
            )
    median_share = {stage: statistics.median(share[stage] for share in shares) for stage in shares[0]}
    print(f"ingest / decode alone, median: {statistics.median(ratios):.3f}")
    print("share of the work: " + ", ".join(f"{stage} {part:.1%}" for stage, part in median_share.items()))


if __name__ == "__main__":
    main()
