"""Find the causes of a model's false bearings: nothing, an echo, or a vehicle without a label.

    python tools/false_bearings.py WINDOWS MODEL

WINDOWS is a set of exactly rendered validation windows (`avdet sim windows --arrays drawn`), MODEL
a model file for any array or a run's folder (its last epoch). A label is an audible vehicle
(at least -18 dB relative to all other sound) within 70 m. A vehicle a little further away or
quieter can be detected as well, but a bearing on it counts as false. The bearings are those above
the threshold of the recall, one false bearing in ten windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from rich.progress import track
from weights_between import read

from avdet_ros.evaluation.bearings.metrics import (
    FALSE_A_WINDOW,
    FoundBearings,
    match_window,
    merge_close,
)
from avdet_ros.rig import load_rig
from avdet_ros.simulation.angles import LABEL_HEIGHT_DEG, box_angles, outlines_m
from avdet_ros.simulation.array_windows import array_of, draw_world, place_array
from avdet_ros.simulation.fleet import only_near
from avdet_ros.simulation.scene import AUDIBLE_DB, Scene
from avdet_ros.simulation.truth import LABEL_DISTANCE_M
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.fitting.validation import WITHIN_DEG, found_in
from avdet_ros.training.any_array.windows.store import ArrayStore
from avdet_ros.training.run.watched_windows import read_plan

BESIDE_DEG = 12.0
"""A false bearing within this distance of a label counts as next to it."""

RIGHT = 'right'
NO_LABELS = (
    f'a vehicle beyond {LABEL_DISTANCE_M:.0f} m',
    f'a vehicle quieter than {AUDIBLE_DB:.0f} dB',
    'a vehicle too low for a label',
)
"""Causes of false bearings that point at existing vehicles."""


@dataclass(frozen=True)
class Neighbour:
    """A vehicle of a window, labelled or not.

    Attributes:
        azimuth_deg: azimuth of its centre, relative to the camera's heading.
        distance_m: distance from the array.
        level_db: level relative to all other sound.
        height_deg: height of its box; NaN without a box.
    """

    azimuth_deg: float
    distance_m: float
    level_db: float
    height_deg: float

    @property
    def label_status(self) -> str:
        """Reason why it has no label, or the fact that it has one."""
        if self.distance_m > LABEL_DISTANCE_M:
            return NO_LABELS[0]
        if self.level_db < AUDIBLE_DB:
            return NO_LABELS[1]
        if not self.height_deg >= LABEL_HEIGHT_DEG:
            return NO_LABELS[2]
        return 'a second one on a label'


def neighbours(scene: Scene, t_s: float) -> list[Neighbour]:
    """Return all nearby vehicles at a time."""
    scene = only_near(scene, t_s)
    truth = scene.truth(t_s)
    found = []
    for row, outline_m in enumerate(outlines_m(scene, t_s, truth.ids)):
        middle = outline_m.mean(axis=0)
        found.append(
            Neighbour(
                float(np.degrees(np.arctan2(middle[1], middle[0]))),
                float(truth.distance_m[row]),
                float(truth.level_db[row] - truth.rest_db[row]),
                float(box_angles(outline_m)[3]),
            )
        )
    return found


def cause(azimuth_deg: float, labels_deg: np.ndarray, vehicles: list[Neighbour]) -> str:
    """Return the cause of a false bearing: the loudest vehicle near it, or a label next to it."""
    near = [
        vehicle for vehicle in vehicles if abs(vehicle.azimuth_deg - azimuth_deg) <= WITHIN_DEG
    ]
    if near:
        return max(near, key=lambda vehicle: vehicle.level_db).label_status
    apart_deg = np.abs(labels_deg - azimuth_deg).min(initial=np.inf)
    return 'next to a label' if apart_deg <= BESIDE_DEG else 'nothing near it'


def bearings(store: ArrayStore, network: BearingFirst) -> Iterator[tuple[float, bool, int, float]]:
    """Yield score, whether it is right, window and azimuth of each bearing."""
    angles, count = store.column('angles_deg'), store.column('count')
    for window, found in enumerate(found_in(network, store)):
        best = merge_close(FoundBearings(found.angles_deg[:, 0], found.logits))
        right = match_window(best.azimuth_deg, angles[window, : count[window], 0], WITHIN_DEG) >= 0
        for score, hit, azimuth in zip(best.scores, right, best.azimuth_deg, strict=True):
            yield float(score), bool(hit), window, float(azimuth)


def main(folder: Path, model: Path) -> None:
    """Print the causes of false bearings, and the recall if bearings on vehicles did not count."""
    network = read(model)
    store = windows_of(folder, network.shape)
    base = load_rig()
    plan, window_s = read_plan(folder, base)
    times_s = np.concatenate(
        [np.load(path)['time_s'] for path in sorted(folder.glob('windows_*.npz'))]
    )
    angles, count, seeds = (store.column(name) for name in ('angles_deg', 'count', 'seed'))

    @cache
    def around(window: int) -> list[Neighbour]:
        seed = int(seeds[window])
        scene = place_array(draw_world(seed, base, plan), array_of(seed, base, plan))
        return neighbours(scene, float(times_s[window]) + window_s / 2)

    most = FALSE_A_WINDOW * len(store)
    causes: list[str] = []
    none = 0
    best_first = sorted(bearings(store, network), reverse=True)
    for _, hit, window, azimuth in track(best_first, 'bearings, the best first'):
        labels_deg = angles[window, : count[window], 0]
        causes.append(RIGHT if hit else cause(azimuth, labels_deg, around(window)))
        none += causes[-1] not in (RIGHT, *NO_LABELS)
        if none > most:
            break
    names = np.array(causes)
    false = names != RIGHT
    counted = np.cumsum(false) <= most
    on_nothing = np.cumsum(false & ~np.isin(names, NO_LABELS)) <= most
    recall, recall_of_nothing = (
        (~false)[kept].sum() / count.sum() for kept in (counted, on_nothing)
    )
    print(f'{len(store)} windows, {count.sum()} labels, recall {recall:.3f}')
    for name, number in Counter(names[counted & false].tolist()).most_common():
        print(f'{number / (counted & false).sum():6.0%}  {name}')
    print(f'recall with as many false bearings that are on no vehicle: {recall_of_nothing:.3f}')


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
