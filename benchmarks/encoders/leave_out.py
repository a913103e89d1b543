"""Spaces on music that took no part in their training, nor in any choice: packages are left out, never tracks.

    python -m benchmarks.encoders.leave_out

All hear the same excerpts, as in `benchmarks.encoders.spaces`. Three tables, and nothing is chosen on what it is judged
by:

- folds: every package of `soundalike packs` but the last two, in five folds of like size. What can be fitted anew is,
  to the packages of the other four, and only the fold's own tracks are asked and found: `timbre` as a linear
  discriminant, and `ear`, whose share of MusiCNN is chosen on the other folds as well. MusiCNN never heard any.
- untrained: the three packages that no training had, for every space that has weights; `ear` is fitted without them.
- last: two packages that were used for nothing before; every space with its weights as they are.

Half-track recall, the nearest neighbour and mean average precision by artist and album (a track without an album has
its package), and the largest hub: in what share of all lists of ten it stands. Differences are paired by query; p is of
a randomisation test, by Holm over the table's metrics.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from api.settings import Settings, read_settings
from benchmarks.encoders.spaces import Halves, Labels, embed, files_of, labels_of, measure, written
from benchmarks.machine import machine
from encoders.checkpoints.sha256 import sha256_tensors
from encoders.encoder import Encoder
from encoders.loading import load_encoder, load_network
from encoders.models.embeddings import ear, musicnn, timbre
from encoders.training.joining import NOISE, fit_map, offset_of, with_musicnn
from indexer.packs.known import PACKS
from retrieval.evaluation.measures.significance import Interval, bootstrap, holm_corrected, paired
from retrieval.evaluation.space import SpaceMeasures

LAST = ("fillets-ng-data", "drascula-music")
UNTRAINED = ("naev-data", "nexuiz-music", "supertux-data")
GENERATED = ("sampler", "immich")  # the first is four others together, the second was made by machines
FOLDS = 5
SHARES = (0.2, 0.3, 0.4, ear.MUSICNN_SHARE, 0.5, 0.6, 0.7)
METRICS = {
    "half@1": "half-track recall@1",
    "artist@1": "same artist precision@1",
    "artist": "same artist mAP",
    "album@1": "same album precision@1",
    "album": "same album mAP",
}
CHOSEN_BY = ("half@1", "artist", "album")
HUB = "largest hub"
STATISTICS, NOISY, KIND = "timbre statistics", "timbre statistics, noisy", "musicnn at 22 kHz"


class Statistics(nn.Module):
    """What `timbre` maps: statistics as they are, of the sound or of a disturbed copy."""

    def __init__(self, *, noisy: bool) -> None:
        super().__init__()
        self.network = timbre.StatisticsNet()
        self.noisy = noisy

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows [batch, 220500] → statistics [batch, 1044], no tag logits [batch, 0]."""
        features = self.network.features(waveform)
        if self.noisy:
            seeds = features.double().sum(dim=(1, 2)).abs().long()
            drawn = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
            features = torch.cat([NOISE(one, own) for one, own in zip(features.split(1), drawn, strict=True)])
        statistics = self.network.statistics(features)
        return statistics, statistics[:, :0]


class Kind(nn.Module):
    """MusiCNN as `ear` hears with it."""

    def __init__(self, network: ear.Ear) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows [batch, 220500] → embedding [batch, 200], no tag logits [batch, 0]."""
        kind = self.network.kind(waveform)
        return kind, kind[:, :0]


class Fitted:
    """`ear` and its map of timbre, fitted to some tracks."""

    def __init__(self, tracks: Sequence[Mapping[str, Halves]], network: musicnn.MusiCNN, dim: int) -> None:
        self._timbre = timbre.StatisticsNet(dim).eval()
        clean, noisy, kinds = (
            tuple(torch.from_numpy(np.stack([half.mean(axis=0) for half in side])) for side in sides(tracks, name))
            for name in (STATISTICS, NOISY, KIND)
        )
        fit_map(self._timbre, clean, noisy)
        self._offset = offset_of(torch.cat(kinds), network)

    def timbre(self, track: Mapping[str, Halves]) -> Halves:
        """A track by the map alone."""
        return each_half(self._sound, track[STATISTICS])

    def ear(self, track: Mapping[str, Halves], share: float) -> Halves:
        """A track by both."""
        weight = torch.tensor(share)

        def joined(statistics: NDArray[np.float32], kinds: NDArray[np.float32]) -> NDArray[np.float32]:
            sound = torch.from_numpy(self._sound(statistics))
            both: NDArray[np.float32] = ear.joined(sound, torch.from_numpy(kinds) - self._offset, weight).numpy()
            return both

        return each_half(joined, track[STATISTICS], track[KIND])

    def _sound(self, statistics: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            standardised = (torch.from_numpy(statistics) - self._timbre.mean) / self._timbre.deviation
            sound: NDArray[np.float32] = self._timbre.head(standardised).numpy()
            return sound


def sides(
    tracks: Sequence[Mapping[str, Halves]], name: str
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Both halves of every track in one space."""
    return [track[name].first for track in tracks], [track[name].second for track in tracks]


def each_half(function: Callable[..., NDArray[np.float32]], *tracks: Halves) -> Halves:
    """What a function makes of the first halves, and of the second."""
    return Halves(function(*(track.first for track in tracks)), function(*(track.second for track in tracks)))


def listeners(settings: Settings) -> list[Encoder]:
    """What is kept of a track, to fit `ear` anew: encoders of no space."""
    cpu = torch.device("cpu")
    network = with_musicnn(settings.weights_dir)
    whole = replace(timbre.SPEC, dim=timbre.N_STATISTICS, cpu_batch_size=4)
    made = [
        (STATISTICS, whole, Statistics(noisy=False)),
        (NOISY, whole, Statistics(noisy=True)),
        (KIND, replace(whole, dim=musicnn.DIM), Kind(network)),
    ]
    return [
        Encoder(
            replace(spec, name=name),
            module.eval(),
            version=f"{name.replace(', ', '-').replace(' ', '-')}-{sha256_tensors(module.state_dict())[:12]}",
            device=cpu,
        )
        for name, spec, module in made
    ]


def folds_of(packages: Sequence[str]) -> list[set[str]]:
    """Packages, one a track, in folds of nearly as many tracks each."""
    folds: list[set[str]] = [set() for _ in range(FOLDS)]
    sizes = [0] * FOLDS
    for package in sorted(set(packages), key=lambda name: (-packages.count(name), name)):
        smallest = int(np.argmin(sizes))
        folds[smallest].add(package)
        sizes[smallest] += packages.count(package)
    return folds


class Judged:
    """Values of every metric by query, of one space over some catalogues that share no track."""

    def __init__(self, found: Sequence[SpaceMeasures]) -> None:
        self.values = {
            column: np.concatenate([one.per_query[name] for one in found]) for column, name in METRICS.items()
        }
        self.chance = {column: np.mean([one.chance[name] for one in found]) for column, name in METRICS.items()}
        self.hub = max(float(one.hubs.holds_largest.mean()) for one in found)

    def intervals(self) -> dict[str, Interval]:
        """Mean and interval by metric."""
        return dict(zip(self.values, bootstrap(np.stack(list(self.values.values()), axis=1)), strict=True))

    def score(self) -> float:
        """What a share is chosen by."""
        return float(np.mean([np.nanmean(self.values[column]) for column in CHOSEN_BY]))


def judged_in(fold: NDArray[np.bool_], tracks: Sequence[Halves], labels: Sequence[Labels]) -> SpaceMeasures:
    """One space, measured on the tracks of a fold."""
    rows = np.flatnonzero(fold)
    return measure([tracks[row] for row in rows], [labels[row] for row in rows])


def show(title: str, rows: Mapping[str, Judged], against: Sequence[tuple[str, str]]) -> None:
    """Print a table of spaces, then the differences that are asked for."""
    some = next(iter(rows.values()))
    print(f"\n### {title}\n\n| space | {' | '.join(METRICS)} | {HUB} |\n|{'---|' * (len(METRICS) + 2)}")
    for name, judged in rows.items():
        print(f"| {name} | {' | '.join(map(written, judged.intervals().values()))} | {judged.hub:.3f} |")
    print(f"| chance | {' | '.join(f'{level:.3f}' for level in some.chance.values())} | |")
    print(f"| queries | {' | '.join(str(one.count) for one in some.intervals().values())} | |")
    for green, blue in against:
        found = holm_corrected({name: paired(rows[blue].values[name], rows[green].values[name]) for name in METRICS})
        said = ", ".join(f"{name} {one.difference.mean:+.3f} (p {one.p_holm:.2g})" for name, one in found.items())
        print(f"\n{green} − {blue}: {said}")


def main() -> None:
    """Encode, fit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", dest="spaces", action="append", help="a space with weights to judge as well")
    parser.add_argument("--without-last", action="store_true", help="do not touch the last two packages")
    arguments = parser.parse_args()
    settings = read_settings()
    names = [
        "musicnn",
        *(arguments.spaces or ["melcnn", "soundalike", "timbre", "tagging", "tagging-student", "spectnt"]),
    ]
    own = listeners(settings)
    encoders = [load_encoder(name, weights_dir=settings.weights_dir) for name in names]
    packs = [pack for pack in PACKS if pack not in (*LAST, *GENERATED)]
    print(machine())
    files = [file for pack in packs for file in files_of(pack, settings)]
    everywhere = [*own, *(encoder for encoder in encoders if encoder.spec.name == musicnn.SPEC.name)]
    found = embed(files, everywhere, settings)
    found |= embed([file for file in files if labels_of(file).package in UNTRAINED], [*own, *encoders], settings)
    labels = [labels_of(file) for file in files if file.key in found]
    tracks = list(found.values())
    packages = np.array([label.package for label in labels])
    network = load_network(musicnn.SPEC, settings.weights_dir)[0]
    assert isinstance(network, musicnn.MusiCNN)

    def fitted_without(left_out: set[str]) -> Fitted:
        kept = [track for track, package in zip(tracks, packages, strict=True) if package not in left_out]
        return Fitted(kept, network, ear.TIMBRE_DIM)

    folds = folds_of(packages.tolist())
    members = [np.isin(packages, list(fold)) for fold in folds]
    maps = [fitted_without(fold) for fold in folds]
    by_share = {
        share: [
            judged_in(m, [one.ear(track, share) for track in tracks], labels)
            for m, one in zip(members, maps, strict=True)
        ]
        for share in SHARES
    }
    chosen = []
    for place in range(FOLDS):
        scores = {s: Judged([one for i, one in enumerate(by) if i != place]).score() for s, by in by_share.items()}
        chosen.append(max(scores, key=lambda share: scores[share]))
    rows = {
        "ear, share chosen on the other folds": Judged([by_share[share][place] for place, share in enumerate(chosen)]),
        "timbre, fitted anew": Judged(
            [
                judged_in(m, [one.timbre(track) for track in tracks], labels)
                for m, one in zip(members, maps, strict=True)
            ]
        ),
        "musicnn": Judged([judged_in(m, [track["musicnn"] for track in tracks], labels) for m in members]),
    }
    rows |= {f"ear, share {share}": Judged(by) for share, by in by_share.items()}
    title = f"Folds: {len(tracks)} tracks of {len(set(packages))} packages, shares chosen {chosen}"
    as_shipped = f"ear, share {ear.MUSICNN_SHARE}"
    against = [("ear, share chosen on the other folds", "musicnn"), (as_shipped, "musicnn")]
    show(title, rows, [*against, (as_shipped, "timbre, fitted anew")])

    together = {
        as_shipped: [maps[0].ear(track, ear.MUSICNN_SHARE) for track in tracks],
        "musicnn": [track["musicnn"] for track in tracks],
    }
    hubs = (f"{name} {Judged([measure(heard, labels)]).hub:.3f}" for name, heard in together.items())
    print(f"\nlargest hub where all {len(tracks)} tracks are one catalogue: {', '.join(hubs)}")

    fold = np.isin(packages, UNTRAINED)
    one = fitted_without(set(UNTRAINED))
    rows = {"ear, fitted anew": Judged([judged_in(fold, [one.ear(t, ear.MUSICNN_SHARE) for t in tracks], labels)])}
    held_out = [label for label, untrained in zip(labels, fold, strict=True) if untrained]
    heard = [track for track, untrained in zip(tracks, fold, strict=True) if untrained]
    rows |= {name: Judged([measure([track[name] for track in heard], held_out)]) for name in names}
    against = [("ear, fitted anew", name) for name in ("musicnn", "soundalike")]
    show(f"Untrained: {fold.sum()} tracks of {', '.join(UNTRAINED)}", rows, against)
    if not arguments.without_last:
        names = ["ear", *names]
        encoders = [load_encoder("ear", weights_dir=settings.weights_dir), *encoders]
        files = [file for pack in LAST for file in files_of(pack, settings)]
        found = embed(files, encoders, settings)
        labels = [labels_of(file) for file in files if file.key in found]
        rows = {name: Judged([measure([track[name] for track in found.values()], labels)]) for name in names}
        show(f"Last: {len(labels)} tracks of {', '.join(LAST)}", rows, [("ear", "musicnn"), ("ear", "soundalike")])


if __name__ == "__main__":
    main()
