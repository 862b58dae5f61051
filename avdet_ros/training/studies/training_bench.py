"""Benchmark of training on this machine: step, epoch, loading, memory and one inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import json
from pathlib import Path
import resource
import sys
import tempfile
import time

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
import numpy as np
import torch
from torch import Tensor, nn

from avdet_ros.audio.features import MAX_LABELS, FrontEnd
from avdet_ros.bench.step_costs import Cost, measure
from avdet_ros.paths import share
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_numbers
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.data.simulated import map_windows
from avdet_ros.training.data.windows import WindowDataset, loader
from avdet_ros.training.efficientdet.anchors import anchor_detection_loss
from avdet_ros.training.efficientdet.network import BOX_WEIGHT
from avdet_ros.training.networks.base import StudentAdapter, make_student
from avdet_ros.training.networks.layers import pooled_frames
from avdet_ros.training.networks.paper import LOWEST_DB, PaperStudent
from avdet_ros.training.recipes.read import read_recipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.run.task import fit_student

RECIPE = 'config/recipes/simulated_labels.yaml'
MAX_SHARE = 0.1
"""Maximum ratio of the compact student's inference time to the paper's student's."""


@dataclass(frozen=True)
class TrainingCost:
    """Cost of a training step.

    Attributes:
        student: the network.
        batch: windows per step.
        step_ms: median time of a step: forward, backward and the optimiser.
        wait_ms: median wait for the next batch, None if not measured.
        load_ms: median time of loading a batch alone, None if not measured.
        memory_mb: peak memory, of the GPU if there is one, else of the process.
        device: device that it ran on.
        precision: precision of the arithmetic.
    """

    student: str
    batch: int
    step_ms: float
    wait_ms: float | None
    load_ms: float | None
    memory_mb: float
    device: str
    precision: str

    def epoch_s(self, windows: int) -> float:
        """Seconds of one pass over ``windows`` windows, without validation."""
        return windows / self.batch * (self.step_ms + (self.wait_ms or 0.0)) * 1e-3


@dataclass(frozen=True)
class InferenceCosts:
    """Cost of one inference on the CPU, measured in the same run with the same threads.

    Attributes:
        threads: threads of each inference.
        compact: our student, torch.
        paper: EfficientDet-D2 on 768 x 768 x 8, torch.
    """

    threads: int
    compact: Cost
    paper: Cost

    @property
    def share(self) -> float:
        """Ratio of the compact student's time to the paper's."""
        return self.compact.p50 / self.paper.p50


class _Clock(Callback):
    """Time each step and each wait for a batch."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.waits_s: list[float] = []
        self._began = self._ended = 0.0

    def on_train_batch_start(self, trainer: Trainer, task: LightningModule, *_: object) -> None:
        self._began = time.perf_counter()
        if self._ended:
            self.waits_s.append(self._began - self._ended)

    def on_train_batch_end(self, trainer: Trainer, task: LightningModule, *_: object) -> None:
        _finish()
        self._ended = time.perf_counter()
        self.steps.append(self._ended - self._began)


def compact_training(rig: Rig, steps: int, folder: Path | None = None) -> TrainingCost:
    """Time some steps of fitting the shipped recipe, run as in training.

    Args:
        rig: rig of the windows.
        steps: number of steps; the first is not counted.
        folder: training windows; None writes and maps windows of noise.
    """
    recipe = read_recipe(share(RECIPE))
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=1))
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        count = recipe.fit.batch * (steps + 1)
        if folder is None:
            _write_noise(root / 'windows', rig, min(count, 8 * recipe.fit.batch))
        windows = _repeated(map_windows(folder or root / 'windows', rig), count)
        load = _loading(windows, recipe, steps)
        _reset_peak_memory()
        clock = _Clock()
        val, mirror = windows.at_most(2), find_mirror(rig)
        student = _student(recipe, rig)
        fit_student(student, recipe, windows, val, root / 'run', mirror, callbacks=[clock])
    return TrainingCost(
        student=f'compact ({recipe.student.model})',
        batch=recipe.fit.batch,
        step_ms=1e3 * float(np.median(clock.steps[1:])),
        wait_ms=1e3 * float(np.median(clock.waits_s)),
        load_ms=load,
        memory_mb=_memory_mb(),
        device=_device_name(),
        precision=recipe.fit.precision,
    )


def paper_training(
    steps: int, batch: int, config_name: str = 'tf_efficientdet_d2', side: int = 768
) -> TrainingCost:
    """Time steps of the paper's student on noise: forward, focal and box loss, backward, Adam.

    Args:
        steps: number of steps, after one that is not counted.
        batch: windows per step.
        config_name: an effdet configuration.
        side: side of its input, pixels.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    _reset_peak_memory()
    student = PaperStudent(config_name, (side, side)).to(device).train()
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-4, weight_decay=5e-4)
    sound = _levels(batch).to(device)
    boxes = [torch.tensor([[0.2, 0.3, 0.4, 0.45]], device=device) * side] * batch

    def step() -> None:
        optimiser.zero_grad()
        prediction = student(sound)
        terms = anchor_detection_loss(
            prediction.logits, prediction.offsets, student.detector.anchors, boxes
        )
        (terms['class'] + BOX_WEIGHT * terms['box']).backward()
        optimiser.step()
        _finish()

    cost = measure('', step, steps, warm_up=1)
    return TrainingCost(
        student=f'paper ({config_name.removeprefix("tf_")}, {side})',
        batch=batch,
        step_ms=cost.p50,
        wait_ms=None,
        load_ms=None,
        memory_mb=_memory_mb(),
        device=_device_name(),
        precision='32-true',
    )


def inference_costs(
    rig: Rig,
    threads: int = 1,
    runs: int = 20,
    paper_runs: int = 3,
    config_name: str = 'tf_efficientdet_d2',
    side: int = 768,
) -> InferenceCosts:
    """Time the two students on one window each, on the CPU, one after the other.

    Args:
        rig: rig of the compact student.
        threads: threads of each inference.
        runs: runs of the compact student.
        paper_runs: runs of the paper's student.
        config_name: an effdet configuration.
        side: side of the paper's input, pixels.
    """
    recipe = read_recipe(share(RECIPE))
    front_end = FrontEnd.of(rig)
    compact = _student(recipe, rig).eval().student
    paper = PaperStudent(config_name, (side, side)).eval()
    shape = (1, len(front_end.feature_names), front_end.n_mels, pooled_frames(front_end))
    pooled = torch.randn(shape)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            compact_cost = measure(recipe.student.model, _calling(compact, pooled), runs)
            paper_cost = measure(config_name, _calling(paper, _levels(1)), paper_runs, warm_up=1)
    finally:
        torch.set_num_threads(before)
    return InferenceCosts(threads, compact_cost, paper_cost)


def _calling(network: nn.Module, window: Tensor) -> Callable[[], object]:
    return lambda: network(window)


def _levels(batch: int) -> Tensor:
    """Return (batch, 8, n_mels, frames) noise in the papers' range of levels."""
    front_end = FrontEnd()
    return torch.rand(batch, 8, front_end.n_mels, front_end.frames) * LOWEST_DB


def _loading(windows: WindowDataset, recipe: StudentRecipe, steps: int) -> float:
    """Return the median milliseconds of one batch from the loader, with no other work."""
    times = []
    start = time.perf_counter()
    for _ in loader(windows, recipe.fit.batch, recipe.fit.seed):
        times.append(1e3 * (time.perf_counter() - start))
        start = time.perf_counter()
    return float(np.median(times[1:] or times))


def _write_noise(folder: Path, rig: Rig, count: int) -> None:
    """Write windows of noise in the simulator's format."""
    front_end = FrontEnd.of(rig)
    shape = (count, len(front_end.feature_names), front_end.n_mels, pooled_frames(front_end))
    rng = np.random.default_rng(0)
    boxes = np.zeros((count, MAX_LABELS, 4), np.float32)
    boxes[:, 0] = 600, 280, 800, 380
    folder.mkdir()
    (folder / 'windows.json').write_text(json.dumps(rig_numbers(rig)), encoding='utf-8')
    np.savez(
        folder / 'windows_0000000.npz',
        features=rng.normal(-60, 10, shape).astype(np.float16),
        boxes_px=boxes,
        count=np.ones(count, np.int64),
        time_s=np.zeros(count),
        seed=np.arange(count),
    )


def _repeated(windows: WindowDataset, count: int) -> WindowDataset:
    return windows.select((np.arange(count) % len(windows)).tolist())


def _student(recipe: StudentRecipe, rig: Rig) -> StudentAdapter:
    size = (recipe.teachers.height, recipe.teachers.width)
    area = picture_area(size, rig.camera.width_px, rig.camera.height_px, crop=False)
    return make_student(recipe, rig, area, size)


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reset_peak_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _memory_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'CPU, {torch.get_num_threads()} threads'
