"""The recipe of `vocals`: voices and music → what is ours of its weights.

    <out>                            the weights
    <out, without its suffix>/       what a training goes on from: what the published network heard, a checkpoint

What is learnt from, and what the figures are of, are different sources of both (:mod:`.parts`).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.metrics import balanced_accuracy_score

from encoders.analysis.vocals import settled
from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.checkpoints.sha256 import sha256_file
from encoders.models import vocals
from encoders.models.language.codes import normal_code
from encoders.training.corpus import CorpusError, read_corpus
from encoders.training.loop import TrainingError
from encoders.training.split import Origin, save_halved
from encoders.training.validation import roc_auc
from encoders.training.voices.clips import SPOKEN, SUNG, read_clips
from encoders.training.voices.parts import Part, part_of_music, part_of_voice, read_beds, read_voices
from encoders.training.voices.vocal_activity import Heard, VocalTraining, hear_scenes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from encoders.training.loop import OnStep, Schedule
    from encoders.training.voices.parts import Beds, Voices

_JUDGE = 4  # a quarter as many scenes judge as are learnt from
_STANDARDISED_BY = 200  # scenes
_BATCH = 8


@dataclass(frozen=True)
class Sources:
    """A folder of voices, and a corpus of music in which nobody sings, whose groups are packages."""

    voices: Path
    music: Path

    @property
    def lists(self) -> list[Path]:
        """The lists of voices; that of the sung ones need not be there."""
        sung = self.voices / SUNG
        return [self.voices / SPOKEN, *([sung] if sung.exists() else [])]


@dataclass(frozen=True)
class Task:
    """What a training of voices is given beside its schedule.

    Attributes
    ----------
    count : scenes to learn from; a quarter as many judge
    weights_dir : holds the published network, or gets it
    on_heard : called with (how many were heard, of how many)
    on_step : called with (step, loss)
    """

    count: int
    weights_dir: Path
    on_heard: Callable[[int, int], None]
    on_step: OnStep


@dataclass(frozen=True)
class VoiceReport:
    """Where the weights are, and figures by name on what judges, before and after; none where nothing judges."""

    weights: Path
    before: dict[str, float]
    after: dict[str, float]


def train_vocals(sources: Sources, out: Path, settings: Schedule, task: Task) -> VoiceReport:
    """Train what is ours of `vocals`: a head on the published detector, and changes below it.

    Figures are of steps of 0.1 s; those before are the published detector's.

    Raises
    ------
    CorpusError, TrainingError, WeightsError
        If voices or music are damaged or there are none to learn from, beside `out` lies another training, or the
        detector cannot be downloaded.
    """
    origin = _origin(sources, settings, task)
    published = _published(task.weights_dir / "vocals-released.safetensors", vocals.released)
    torch.manual_seed(settings.seed)
    network = vocals.VocalNet()
    load_into(network.detector, published)
    network.eval()

    def hear(voices: Voices, beds: Beds, count: int) -> dict[str, Tensor]:
        def heard(number: int) -> None:
            task.on_heard(number, count)

        made = hear_scenes(network, voices, beds, count, seed=settings.seed, on_scene=heard)
        return {"energies": made.energies, "kinds": made.kinds}

    learnt, judging = (Heard(**one) if one else None for one in _heard(sources, out, origin, task.count, hear))
    assert learnt is not None
    before = _activity(judging, lambda energies: _as_published(network, energies))
    _standardise(network, learnt)
    training = VocalTraining(network, learnt, settings, _beside(out))
    training.resume()
    training.run(on_step=task.on_step)
    network.eval()
    save_halved(out, vocals.own(network.state_dict(), published), origin)

    def answered(energies: Tensor) -> tuple[Tensor, NDArray[np.bool_]]:
        said = network.answer(energies)
        return 1 - said[..., 0].exp(), np.stack([settled(one.double().numpy()) > 0 for one in said])

    return VoiceReport(out, before, _activity(judging, answered))


def _beside(out: Path) -> Path:
    return out.with_suffix("")


def _published(path: Path, released: Callable[[], tuple[dict[str, Tensor], str]]) -> dict[str, Tensor]:
    """The weights of a release, downloaded once."""
    if not path.exists():
        tensors, license_text = released()
        save_weights(path, tensors, {"license": license_text})
    return read_checkpoint(path)


def _origin(sources: Sources, settings: Schedule, task: Task) -> Origin:
    """What is learnt from, by its contents; the sources that nothing is learnt from.

    Raises
    ------
    CorpusError
        If there is no voice or no music to learn from.
    """
    clips = [clip for listed in sources.lists for clip in read_clips(listed)]
    tracks = read_corpus(sources.music)
    unknown = sorted({clip.language for clip in clips if normal_code(clip.language) is None})
    if unknown:
        raise CorpusError(f"{sources.voices}: language {', '.join(unknown)}: ISO 639-1 is accepted")
    learnt = [clip for clip in clips if part_of_voice(clip) == Part.TRAINING]
    music = [track for track in tracks if part_of_music(track.group) == Part.TRAINING]
    if not any(clip.kind != "sung" for clip in learnt):
        raise CorpusError(f"{sources.voices / SPOKEN}: no voice to learn from; `soundalike train voices` gathers them")
    if not any(clip.kind == "sung" for clip in learnt):
        raise CorpusError(f"{sources.voices}: nobody sings; `soundalike train sing {sources.voices}` makes them")
    if not music:
        raise CorpusError(f"{sources.music}: no music to learn from, all of its packages are kept to judge by")
    digest = hashlib.sha256()
    for clip in learnt:
        digest.update(sha256_file(sources.voices / clip.path).encode())
    for track in music:
        digest.update(track.source_sha256.encode())
    everything = {clip.source for clip in clips} | {track.group for track in tracks}
    held_out = sorted(everything - {clip.source for clip in learnt} - {track.group for track in music})
    return Origin("vocals", {**asdict(settings), "heard": task.count}, held_out, digest.hexdigest())


def _heard(
    sources: Sources, out: Path, origin: Origin, count: int, hear: Callable[[Voices, Beds, int], dict[str, Tensor]]
) -> list[dict[str, Tensor] | None]:
    """What is heard of the voices and music that are learnt from, and of those that judge, where there are any."""
    made_of = {"corpus_sha256": origin.corpus_sha256, "heard": str(count), "seed": str(origin.settings["seed"])}
    heard: list[dict[str, Tensor] | None] = []
    for part, how_many in ((Part.TRAINING, count), (Part.VALIDATION, max(1, count // _JUDGE))):
        voices = read_voices(sources.lists, part)
        some_music = any(part_of_music(track.group) == part for track in read_corpus(sources.music))
        if not (voices.spoken and voices.sung and some_music):
            heard.append(None)
            continue
        path = _beside(out) / f"{part}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part_file = path.with_suffix(".part")
            save_file(hear(voices, read_beds(sources.music, part), how_many), part_file, made_of)
            part_file.replace(path)
        heard.append(_read_heard(path, made_of))
    return heard


def _read_heard(path: Path, made_of: dict[str, str]) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            if file.metadata() != made_of:
                raise TrainingError(f"{path}: of other voices, music or numbers; remove {path.parent} to begin anew")
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- no mapping
    except SafetensorError as error:
        raise TrainingError(f"{path}: cannot be read ({error}); remove it to begin anew") from error


def _standardise(network: vocals.VocalNet, learnt: Heard) -> None:
    """Let the head begin with what the detector hears at mean 0 and deviation 1."""
    with torch.inference_mode():
        steps = torch.cat([_steps(network, one[None].float())[0] for one in learnt.energies[:_STANDARDISED_BY]])
    network.head.offset.copy_(steps.mean(dim=0))
    network.head.scale.copy_(1 / steps.std(dim=0).clamp(min=1e-2))


def _steps(network: vocals.VocalNet, energies: Tensor) -> Tensor:
    """What the detector hears in each step of 0.1 s, [batch, steps, 256 + 3]."""
    heard: Tensor = network.detector(energies)
    return heard.view(len(heard), -1, round(100 * vocals.STEP_S), heard.shape[-1]).mean(dim=2)


def _as_published(network: vocals.VocalNet, energies: Tensor) -> tuple[Tensor, NDArray[np.bool_]]:
    """Speech or singing, by the published detector's own events and threshold."""
    voiced = _steps(network, energies)[..., -3:-1].amax(dim=-1)
    return voiced, (voiced > 0).numpy()


def _activity(judging: Heard | None, answer: Callable[[Tensor], tuple[Tensor, NDArray[np.bool_]]]) -> dict[str, float]:
    """Figures of steps, of an answer that scores them and decides whether somebody is heard."""
    if judging is None:
        return {}
    with torch.inference_mode():
        answers = [answer(energies.float()) for energies in torch.split(judging.energies, _BATCH)]
    truth = (judging.kinds > 0).numpy().ravel()
    scores = torch.cat([score for score, _ in answers]).numpy().ravel()
    decided = np.concatenate([voiced for _, voiced in answers]).ravel()
    area = float(roc_auc(scores[:, None], truth[:, None])[0])
    if np.isnan(area):  # too few steps with a voice, or without
        return {}
    return {"AUC": area, "balanced accuracy": float(balanced_accuracy_score(truth, decided))}
