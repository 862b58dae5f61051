"""Counts over simulated drives: vehicles per frame, hidden but audible ones, manoeuvres."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from avdet_ros.dataset.splits import SPLIT_SEEDS
from avdet_ros.rig import Rig
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.road import Route
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.truth import LABEL_HEIGHT_PX, LABEL_IN_IMAGE

SEEDS = range(SPLIT_SEEDS['test'][0], SPLIT_SEEDS['test'][0] + 100)
DURATION_S = 20.0
EVERY_S = 5.0
SEEN = 0.1
HIDDEN = 0.02
"""Visible fractions of a box: from `SEEN` on a vehicle is seen, below `HIDDEN` it is hidden."""


@dataclass(frozen=True)
class Census:
    """Counts over the drives of `SEEDS`.

    Attributes:
        drives: number of drives.
        frames: number of instants counted.
        seen: (frames,) vehicles in the image, high enough and not hidden.
        moving: (frames,) seen vehicles with running engines.
        labels: (frames,) vehicles a sound-based detector should report.
        audible_hidden: fraction of the labels that are hidden from the camera.
        settings: drives by setting.
        manoeuvres: vehicles that overtake, change lanes and turn.
    """

    drives: int
    frames: int
    seen: np.ndarray
    moving: np.ndarray
    labels: np.ndarray
    audible_hidden: float
    settings: dict[str, int]
    manoeuvres: dict[str, int]


def count(rig: Rig) -> Census:
    """Count every few seconds of every drive of `SEEDS`."""
    seen, moving, labels, hidden = [], [], [], 0
    settings: Counter[str] = Counter()
    manoeuvres: Counter[str] = Counter()
    for seed in SEEDS:
        scene = add_to_drive(random_scene(seed, rig, DURATION_S))
        settings[scene.setting] += 1
        runs = {v.vehicle_id for v in scene.vehicles if v.sound.running}
        for vehicle in scene.vehicles:
            changes = len(vehicle.motion.changes)
            manoeuvres['overtake'] += changes == 2
            manoeuvres['change lanes'] += changes == 1
            manoeuvres['turn'] += isinstance(vehicle.road, Route)
        for t_s in np.arange(EVERY_S / 2, DURATION_S, EVERY_S):
            truth = scene.truth(float(t_s))
            height = truth.boxes_px[:, 3] - truth.boxes_px[:, 1]
            clear = (truth.in_image >= LABEL_IN_IMAGE) & (height >= LABEL_HEIGHT_PX)
            clear &= truth.visible_fraction >= SEEN
            seen.append(int(clear.sum()))
            moving.append(int(np.sum(clear & np.isin(truth.ids, list(runs)))))
            reported = truth.labels()
            labels.append(len(reported))
            hidden += int(np.sum(reported.visible_fraction < HIDDEN))
    return Census(
        len(SEEDS),
        len(seen),
        np.array(seen),
        np.array(moving),
        np.array(labels),
        hidden / max(sum(labels), 1),
        dict(settings.most_common()),
        dict(manoeuvres),
    )
