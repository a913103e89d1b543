"""Any training: what a stop, a kill and a resume leave is what an uninterrupted run leaves, dropout included."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from encoders.training.loop import Schedule, Training, TrainingError

SETTINGS = Schedule(steps=30, batch_size=4, learning_rate=1e-2, warmup_steps=3, checkpoint_every=10)


class Line(Training):
    """A line through noisy points; chance comes from both generators and from dropout."""

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        points = torch.from_numpy(rng.normal(size=(self._settings.batch_size, 3)).astype(np.float32))
        noise = torch.randn(len(points), generator=generator)
        error = self.model(points)[:, 0] - (points.sum(dim=1) + 0.1 * noise)
        return error.square().mean(), {"points": points}


Start = Callable[..., Line]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def begin(name: str, settings: Schedule = SETTINGS) -> Line:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        training = Line(model, settings, tmp_path / name, device=torch.device("cpu"))
        torch.manual_seed(len(name))  # what else draws from torch must not matter
        return training

    return begin


def ignored(step: int, loss: float) -> None: ...


def stopped_at(last: int) -> Callable[[int, float], None]:
    def stop(step: int, loss: float) -> None:
        if step == last:
            raise KeyboardInterrupt

    return stop


def logged(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "losses.jsonl").read_text().splitlines()]


def weights_of(training: Line) -> Tensor:
    return nn.utils.parameters_to_vector(training.model.parameters()).detach().clone()


@pytest.mark.parametrize("last", [10, 17, 29])
def test_a_kill_and_a_resume_change_nothing(start: Start, tmp_path: Path, last: int) -> None:
    whole = start("whole")
    whole.run(on_step=ignored)
    with pytest.raises(KeyboardInterrupt):
        start("stopped").run(on_step=stopped_at(last))
    with (tmp_path / "stopped" / "losses.jsonl").open("a") as losses:
        losses.write('{"step": 3')  # a kill in the middle of a line
    resumed = start("stopped")
    assert resumed.resume() == (last > 10)  # the stop comes before the checkpoint of its own step
    assert resumed.step == (last - 1) // 10 * 10
    resumed.run(on_step=ignored)
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert logged(tmp_path / "stopped") == logged(tmp_path / "whole")
    assert [row["step"] for row in logged(tmp_path / "whole")] == list(range(1, 31))


def test_a_finished_training_has_nothing_left_to_do(start: Start, tmp_path: Path) -> None:
    start("run").run(on_step=ignored)
    before = (tmp_path / "run" / "losses.jsonl").read_bytes()
    again = start("run")
    assert again.resume()
    again.run(on_step=stopped_at(31))
    assert again.step == 30
    assert (tmp_path / "run" / "losses.jsonl").read_bytes() == before


def test_a_training_may_go_on_for_longer(start: Start, tmp_path: Path) -> None:
    start("run").run(on_step=ignored)
    longer = start("run", replace(SETTINGS, steps=35))
    assert longer.resume()
    longer.run(on_step=ignored)
    assert [row["step"] for row in logged(tmp_path / "run")] == list(range(1, 36))


def test_a_training_begun_anew_does_not_add_to_the_old_log(start: Start, tmp_path: Path) -> None:
    start("run").run(on_step=ignored)
    start("run").run(on_step=ignored)  # not resumed
    assert [row["step"] for row in logged(tmp_path / "run")] == list(range(1, 31))


def test_every_changed_setting_is_named(start: Start) -> None:
    start("run").save()
    with pytest.raises(TrainingError, match=r"learning_rate 0\.01 there, 0\.1 here; seed 0 there, 5 here"):
        start("run", replace(SETTINGS, seed=5, learning_rate=0.1)).resume()


def test_training_fits_the_line(start: Start, tmp_path: Path) -> None:
    start("run", replace(SETTINGS, steps=150)).run(on_step=ignored)
    losses = [row["loss"] for row in logged(tmp_path / "run")]
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:20])
