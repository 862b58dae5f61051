"""Score the shipped models on a parked car and on a clap: python tools/first_day.py.

Prints the table of docs/hardware.md, by simulation: the ego vehicle stands in the open with its
engine off, and one source makes a sound 30 degrees to the left.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import math

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.model_file import front_end_for
from avdet_ros.detection.session import Detector
from avdet_ros.paths import share
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.other_sounds import OtherSound
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.sound_kinds import KINDS
from avdet_ros.simulation.vehicles import random_vehicle

BEARING_DEG = 30.0
WITHIN_DEG = 5.0
MODELS = 'octagon.onnx', 'student.onnx'


def scene(seed: int, rig: Rig, ego_runs: bool) -> Scene:
    """Make a scene: the ego vehicle stands alone in the open, in a light breeze."""
    rng = np.random.default_rng(seed)
    motion = Motion(0.0, 0.0, lane=-0.5)
    ego = random_vehicle(rng, 0, 'car', straight_road(), motion, running=ego_runs)
    return Scene(seed, 6.0, rig, 'country', ego, vehicles=())


def with_parked_car(alone: Scene, away_m: float, kind: str = 'car') -> Scene:
    """Add a vehicle that stands at the bearing with its engine running."""
    place = np.radians(BEARING_DEG)
    motion = Motion(
        0.3 + away_m * math.cos(place), 0.0, lane=-0.5, aside_m=away_m * math.sin(place)
    )
    rng = np.random.default_rng([alone.seed, 1])
    car = random_vehicle(rng, 1, kind, straight_road(), motion, running=True)
    return replace(alone, vehicles=(car,))


def with_sound(alone: Scene, kind: str, power_db: float, away_m: float, every_s: float) -> Scene:
    """Add a sound of a kind at the bearing."""
    position, rotation = alone.ego_pose(np.array(0.0))
    angle = np.radians(BEARING_DEG)
    ahead = np.array([away_m * math.cos(angle) + 0.3, away_m * math.sin(angle), 1.2])
    properties = KINDS[kind]
    shape = np.array(properties.shape_db, float)
    level = shape + power_db - float(cnossos.a_weighted_db(shape))
    sound = OtherSound(
        kind,
        90,
        position + rotation @ ahead,
        np.zeros(3),
        level,
        every_s,
        0.1,
        40.0,
        float(np.mean(properties.tone_hz)),
        properties.harmonics,
        0.0,
        float(np.mean(properties.sweep_s)),
    )
    return replace(alone, distractors=(sound,))


def score(found: Detections, rig: Rig) -> tuple[float, float]:
    """Return the best score at the bearing, and the best score elsewhere."""
    boxes, scores = found.boxes_px, found.scores
    if not len(scores):
        return 0.0, 0.0
    rays = rig.camera.directions((boxes[:, :2] + boxes[:, 2:]) / 2)
    azimuth_deg = np.degrees(np.arctan2(rays[:, 1], rays[:, 0]))
    there = np.abs(azimuth_deg - BEARING_DEG) <= WITHIN_DEG
    return tuple(float(scores[mask].max(initial=0.0)) for mask in (there, ~there))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--seeds', type=int, default=4, help='vehicles and weather conditions per row'
    )
    parser.add_argument('--first', type=int, default=200000)
    args = parser.parse_args()
    rig = load_rig()
    paths = [share(f'models/{name}') for name in MODELS]
    front_end = front_end_for(rig, *paths)
    detectors = [Detector(path, rig, front_end, ['cpu'], threads=1) for path in paths]
    cases = {
        'nobody': lambda alone: alone,
        'car, engine on, 5 m': lambda alone: with_parked_car(alone, 5.0),
        'car, engine on, 10 m': lambda alone: with_parked_car(alone, 10.0),
        'car, engine on, 20 m': lambda alone: with_parked_car(alone, 20.0),
        'lorry, engine on, 20 m': lambda alone: with_parked_car(alone, 20.0, 'lorry'),
        'person clapping, twice a second, 10 m': lambda alone: with_sound(
            alone, 'impacts', 88.0, 10.0, 0.5
        ),
        'person talking, 10 m': lambda alone: with_sound(alone, 'speech', 70.0, 10.0, 0.3),
        'white loudspeaker (blower), 10 m': lambda alone: with_sound(
            alone, 'blower', 95.0, 10.0, 0.0
        ),
    }
    heads = ' | '.join(f'`{name}`: there | elsewhere' for name in MODELS)
    print(f'| 30 degrees to the left | {heads} |')
    print('|---|' + '--:|' * 2 * len(MODELS))
    for name, place in cases.items():
        rows = []
        for seed in range(args.first, args.first + args.seeds):
            drive = place(scene(seed, rig, ego_runs=False))
            sound = render_sound(drive, 2.0, 1.0)
            features = front_end.compute(sound)
            rows.append([score(detector.detect(features), rig) for detector in detectors])
        table = np.array(rows)  # seeds, models, (there, elsewhere)
        cells = []
        for model in range(len(MODELS)):
            for column in range(2):
                values = table[:, model, column]
                cells.append(f'{np.median(values):.2f} ({values.min():.2f} to {values.max():.2f})')
        print(f'| {name} | ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
    main()
