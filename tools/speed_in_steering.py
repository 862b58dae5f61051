"""What a model for any array would gain if its steering knew the vehicle's speed: a bound.

    python tools/speed_in_steering.py RUN WINDOWS

RUN is the folder of a run of `avdet train any-array` (its best.pt), WINDOWS a set of exactly
rendered validation windows (`avdet sim windows --arrays drawn`). An array that drives with speed V
towards a wave takes it at c + V cos(azimuth); steering is made for 343 m/s alone. The speed is
the simulated one at the middle of each window, c that of its air; the weights are as they are.
"""

from __future__ import annotations

from dataclasses import fields
import json
from pathlib import Path
import sys

import numpy as np
import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.detection.steering import azimuth_grid, heading_rad
from avdet_ros.rig import load_rig
from avdet_ros.simulation.array_windows import WindowPlan, array_of, draw_world
from avdet_ros.training.any_array.fitting.best_epoch import load_best
from avdet_ros.training.any_array.fitting.drawn_steering import SteeringTable
from avdet_ros.training.any_array.fitting.store import ArrayStore
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of

FAST_MPS = 15.0


class MovingTable(SteeringTable):
    """Steering of windows in order, each with its vehicle's speed."""

    def __init__(
        self, front_end: FrontEnd, ahead_mps: Tensor, heading_rad: Tensor, sound_mps: Tensor
    ) -> None:
        """Take (N,) speeds, headings of the cameras against the vehicle, speeds of sound."""
        super().__init__(front_end)
        self._ahead_mps, self._sound_mps = ahead_mps[:, None], sound_mps[:, None]
        self._heading_rad, self._next = heading_rad[:, None], 0

    def steering(self, microphones_m: Tensor, yaw_deg: Tensor, *rest: Tensor | None) -> Tensor:
        """As `SteeringTable.steering`, for the next windows."""
        rows = slice(self._next, self._next + len(microphones_m))
        self._next += len(microphones_m)
        azimuth = torch.deg2rad(rest[0])[None] + self._heading_rad[rows]
        speed_mps = self._sound_mps[rows] + self._ahead_mps[rows] * torch.cos(azimuth)
        return super().steering(microphones_m, yaw_deg, *rest, wave_speed_mps=speed_mps)


class Part:
    """Some windows of a store, as `scores_of` reads them."""

    def __init__(self, store: ArrayStore, kept: np.ndarray) -> None:
        """Take (N,) bool."""
        self._store, self._kept = store, kept

    def column(self, name: str) -> np.ndarray:
        """Values of these windows."""
        return self._store.column(name)[self._kept]


def speeds_of(folder: Path) -> tuple[Tensor, ...]:
    """(N,) each: speed ahead at each window's middle, heading of the camera, speed of sound."""
    about = json.loads((folder / 'windows.json').read_text())
    known = {field.name for field in fields(WindowPlan)}
    plan = WindowPlan(**{key: value for key, value in about.items() if key in known})
    base, rows = load_rig(), []
    for path in sorted(folder.glob('windows_*.npz')):
        with np.load(path) as shard:
            windows = list(zip(shard['seed'].tolist(), shard['time_s'].tolist(), strict=True))
        drives = {seed: draw_world(seed, base, plan) for seed in {seed for seed, _ in windows}}
        heading = {seed: heading_rad(array_of(seed, base, plan).rig.camera) for seed in drives}
        middle_s = about['window_s'] / 2
        for seed, start_s in windows:
            ahead_mps = drives[seed].ego.speed_mps(start_s + middle_s)
            rows.append((ahead_mps, heading[seed], drives[seed].speed_of_sound_mps))
    return tuple(torch.from_numpy(column) for column in np.array(rows, np.float32).T)


def main(run: Path, folder: Path) -> None:
    """Print the scores of standing and of moving steering, for slow and fast windows."""
    network, front_end = load_best(run), FrontEnd()
    shape = network.shape
    azimuths = azimuth_grid(shape.front, shape.front_deg, shape.around)
    speed, heading, sound = speeds_of(folder)
    fast = (speed > FAST_MPS).numpy()
    parts = {'all': fast | True, 'fast': fast, 'slow': ~fast}
    usual = torch.full_like(sound, SPEED_OF_SOUND_MPS)
    for name, ahead, waves in (
        ('nothing known', torch.zeros_like(speed), usual),
        ('speed known', speed, usual),
        ('speed and temperature known', speed, sound),
    ):
        store = ArrayStore(folder, MovingTable(front_end, ahead, heading, waves), azimuths)
        store.refresh()
        found = found_in(network, store)
        for part, kept in parts.items():
            its = [window for window, keep in zip(found, kept, strict=True) if keep]
            scores = scores_of(its, Part(store, kept))
            words = ('bearing_ap', 'bearing_recall', 'azimuth_error_deg', 'ap50')
            print(
                f'{name}, {part} ({kept.sum()} windows): '
                + ', '.join(f'{word} {scores[word]:.3f}' for word in words),
                flush=True,
            )


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
