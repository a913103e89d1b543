"""The recipe of `video`: a folder of videos with sound → both towers.

<out>                            the weights
<out, without its suffix>/       what a training goes on from, and in `watched/` what was seen and heard
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.models.embeddings.video import VideoSpace
from encoders.models.video.efficientnet import SPEC as SEEING
from encoders.models.video.efficientnet import made_fast
from encoders.spec import SHIPPED_WEIGHTS
from encoders.training.corpus import CorpusError
from encoders.training.split import Origin, save_halved
from encoders.training.videos.joint import VideoTraining, ranks
from encoders.training.videos.watched import Watchers, parted, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from encoders.training.loop import OnStep
    from encoders.training.videos.joint import VideoSettings
    from encoders.training.videos.watched import Pair

JUDGED = 0.15
"""Share of the sources that choices are made by."""
FEWEST = 4
"""Clips of different sources."""
_LOOKS = 10
_TOP = 10


@dataclass(frozen=True)
class VideoReport:
    """What came of a training.

    Attributes
    ----------
    clips, judged : how many were learnt from, and how many choices were made by
    sources : how many the latter are of: what a rank is among
    recall, median_rank : of the weights that were chosen, on those that chose them: recall@10
    left_out : the reason, by name, of each video that was not taken
    """

    weights: Path
    clips: int
    judged: int
    sources: int
    recall: float
    median_rank: float
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class VideoTask:
    """What towers are trained on.

    Attributes
    ----------
    folder : of videos with sound, FOLDER/<source>/<clip>
    choose_by : likewise, whose sources choices are made by; none: some of those of `folder`
    weights_dir : where the network that sees has its weights
    on_watched : called with (number, whole, name) of each video
    """

    folder: Path
    choose_by: Path | None
    weights_dir: Path
    on_watched: Callable[[int, int, str], None]


def train_video(task: VideoTask, out: Path, settings: VideoSettings, *, on_step: OnStep) -> VideoReport:
    """Train both towers on a folder of videos with sound.

    Of ten looks at the sources that choices are made by, the best one's weights are taken.

    Raises
    ------
    CorpusError, TrainingError, MissingWeightsError
        If there are too few videos, beside `out` lies another training, or the network that sees is not here.
    """
    from encoders.loading import load_network

    beside = out.with_suffix("")
    space = VideoSpace()
    load_into(space.melcnn, read_checkpoint(SHIPPED_WEIGHTS / "melcnn.safetensors"))
    space.melcnn.eval()
    network, _ = load_network(SEEING, task.weights_dir)
    watchers = Watchers(made_fast(network), space.eval())
    pairs, left_out = watch(task.folder, beside / "watched", watchers, on_watched=task.on_watched)
    learnt, judged = parted(pairs, JUDGED)
    if task.choose_by is not None:
        learnt = pairs
        judged, others = watch(task.choose_by, beside / "watched", watchers, on_watched=task.on_watched)
        left_out |= others
    if len({pair.source for pair in learnt}) < FEWEST or not judged:
        needed = f"{2 * FEWEST} sources are needed"
        raise CorpusError(f"{task.folder}: {len(pairs)} videos with sound are too few; at least {needed}")
    training = VideoTraining(settings, beside, space=space, pairs=learnt, device=torch.device("cpu"))
    training.resume()
    best, found = _train(training, judged, settings.steps, on_step)
    save_halved(out, best, _origin(settings, learnt, judged))
    return VideoReport(
        out,
        len(learnt),
        len(judged),
        len({pair.source for pair in judged}),
        float((found <= _TOP).mean()),
        float(np.median(found)),
        left_out,
    )


def _train(
    training: VideoTraining, judged: Sequence[Pair], steps: int, on_step: OnStep
) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    best: dict[str, torch.Tensor] = {}
    found = np.full(len(judged), np.inf)
    every = max(1, steps // _LOOKS)

    def looked(step: int, loss: float) -> None:
        nonlocal best, found
        on_step(step, loss)
        if step % every == 0 or step == steps:
            now = ranks(training.learnt, judged)
            if np.log(now).mean() <= np.log(found).mean():
                found, best = now, deepcopy(training.learnt.space.state_dict())

    training.run(on_step=looked)
    return best, found


def _origin(settings: VideoSettings, pairs: Sequence[Pair], judged: Sequence[Pair]) -> Origin:
    names = "\n".join(sorted(pair.name for pair in pairs))
    return Origin(
        "video", asdict(settings), sorted({pair.source for pair in judged}), hashlib.sha256(names.encode()).hexdigest()
    )
