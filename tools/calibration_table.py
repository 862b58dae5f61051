"""Measure the self-calibration on simulated drives whose arrays have known errors.

    python tools/calibration_table.py --care neglected --first 200000 --drives 4 --keep FOLDER

Each row is five minutes of driving: six stretches of 50 s in different places, with one array and
one temperature. `leads` is the root mean square error of the wave's lead per channel according to
the array that the detector assumes, over the front sector (56 degrees to both sides) and the live
channels, with the mean over channels removed: for the rig file, for the rig file with its channels
in the right order, and calibrated. The camera's true boxes give the yaw. The speed is the true
one, or unknown with --speed-unknown. With --keep, the rendered sound is kept in a folder, and an
interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import time

import numpy as np

from avdet_ros.audio.array_yaw import Sightings, box_sightings
from avdet_ros.audio.self_calibration import calibrate_from_driving
from avdet_ros.audio.wave_fronts import WaveFrontFinder, aperture
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.corruption import Corruption, random_corruption, severe_corruption
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import random_scene

STRETCHES = 6
STRETCH_S = 50.0
CARE = ('ideal', 'kept', 'neglected')
SPEED_MPS = 343.0


def scenes(care: str, seed: int, rig: Rig) -> list[Scene]:
    """Return the stretches of a drive: seeds seed, seed + 1, ..., all with one array."""
    rng = np.random.default_rng([seed, 5])
    errors = {
        'ideal': Corruption,
        'kept': lambda: random_corruption(rng),
        'neglected': lambda: severe_corruption(rng, STRETCHES * STRETCH_S),
    }[care]()
    found = []
    for index in range(STRETCHES):
        plain = random_scene(seed + index, rig, STRETCH_S, corrupted=False)
        scene = add_to_drive(plain, corrupted=False)
        inside = (errors.gaps_s[:, 0] // STRETCH_S).astype(int) == index
        gaps_s = errors.gaps_s[inside] - [index * STRETCH_S, 0]
        first = found[0] if found else scene
        found.append(
            replace(
                scene,
                corruption=replace(errors, gaps_s=gaps_s),
                temperature_c=first.temperature_c,
            )
        )
    return found


def render(stretches: list[Scene], rig: Rig, path: Path | None) -> np.ndarray:
    """Render all stretches one after another, (n, 8) int16."""
    if path is not None and path.is_file():
        return np.load(path, mmap_mode='r')
    rate, parts = rig.sample_rate_hz, []
    for scene in stretches:
        renderer = SoundRenderer(scene)
        for first in range(0, round(STRETCH_S * rate), rate):
            sound = renderer.read(first, rate).T
            parts.append(np.round(sound.clip(-1, 1) * 32767).astype(np.int16))
    whole = np.concatenate(parts)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix('.part.npy')
        np.save(partial, whole)
        partial.replace(path)
    return whole


def camera_sightings(stretches: list[Scene], rig: Rig) -> Sightings:
    """Return the true boxes in the camera's picture, ten times per second."""
    times, boxes, ids = [], [], []
    for index, scene in enumerate(stretches):
        for time_s in np.arange(0.05, STRETCH_S, 0.1):
            labels = scene.labels(float(time_s))
            for box, name in zip(labels.boxes_px, labels.ids, strict=True):
                times.append(index * STRETCH_S + time_s)
                boxes.append(box)
                ids.append(1000 * index + int(name))
    return box_sightings(rig, np.array(times), np.array(boxes), np.array(ids, int))


def lead_errors(scene: Scene, rig: Rig) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return a function that computes the error of an array's leads, root mean square, seconds."""
    errors, order = scene.corruption, scene.corruption.order
    azimuths = np.radians(np.linspace(-56, 56, 65))
    ahead = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=1)
    places = (scene.microphones_m() - rig.array_position_m)[order][:, :2]
    late_s = -errors.delay_samples[order] / rig.sample_rate_hz
    true_s = ahead @ places.T / scene.speed_of_sound_mps - late_s
    alive = ~errors.dead[order]

    def error(positions_m: np.ndarray, delay_s: np.ndarray) -> float:
        leads_s = ahead @ (positions_m - rig.array_position_m)[:, :2].T / SPEED_MPS - delay_s
        off = (leads_s - true_s)[:, alive]
        off -= off.mean(axis=1, keepdims=True)
        return float(np.sqrt((off**2).mean()))

    return error


def row(care: str, seed: int, rig: Rig, keep: Path | None, speed_known: bool) -> str:
    """Return the row of one drive."""
    stretches = scenes(care, seed, rig)
    path = None if keep is None else keep / f'{care}_{seed}.npy'
    sound = render(stretches, rig, path)
    began = time.process_time()
    finder = WaveFrontFinder(rig.sample_rate_hz, aperture(rig.microphones_m))
    for first in range(0, len(sound), rig.sample_rate_hz):
        finder.add(np.asarray(sound[first : first + rig.sample_rate_hz]))
    fronts = finder.fronts()
    known_mps = None
    if speed_known:
        known_mps = np.array(
            [
                stretches[min(int(t / STRETCH_S), STRETCHES - 1)].ego.speed_mps(t % STRETCH_S)
                for t in fronts.time_s
            ],
            float,
        )
    seen = camera_sightings(stretches, rig)
    errors, order = stretches[0].corruption, stretches[0].corruption.order
    lead_error_s = lead_errors(stretches[0], rig)
    alive = ~errors.dead[order]
    none = np.zeros(len(alive))
    before, reordered = (
        lead_error_s(rig.microphones_m, none),
        lead_error_s(rig.microphones_m[order], none),
    )
    places = ', '.join(sorted({scene.setting for scene in stretches}))
    start = f'| {seed} | {places} | {1e6 * before:.0f} | {1e6 * reordered:.0f} |'
    try:
        found = calibrate_from_driving(fronts, rig, seen, known_mps)
    except AvdetError as error:
        return f'{start} refused: {error} |'
    after = lead_error_s(found.positions_m, found.delay_s)
    gain_db = errors.gain_db[order] - errors.gain_db[order][alive].mean()
    right = np.array_equal(found.alive, alive) and np.array_equal(found.order, order)
    wrong = f'{np.flatnonzero(~found.alive).tolist()} {found.order.tolist()}'
    expected = float(np.sqrt((found.lead_sd_s[alive] ** 2).mean()))
    return (
        f'{start} **{1e6 * after:.1f}** | {1e6 * expected:.1f}'
        f' | {np.abs(found.gain_db - gain_db)[alive].max():.2f} | {found.yaw_deg:+.1f}'
        f' ({errors.array_yaw_deg:+.1f}) | {np.flatnonzero(~alive).tolist() or ""}'
        f' {[int(k) for k in np.flatnonzero(order != np.arange(8))] or ""}'
        f' | {"all" if right else wrong} | {time.process_time() - began:.0f} |'
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--care', choices=CARE, default='neglected')
    parser.add_argument('--first', type=int, default=100_000, help='seed of the first drive')
    parser.add_argument('--drives', type=int, default=4)
    parser.add_argument('--keep', type=Path, help='folder for rendered sound')
    parser.add_argument('--speed-unknown', action='store_true')
    args = parser.parse_args()
    rig = load_rig()
    print('| seed | places | leads / µs | in order | calibrated | its error says |', end='')
    print(' gain, worst / dB | yaw (true) / deg | dead, exchanged | found | CPU / s |')
    print('|' + '---|' * 11)
    for index in range(args.drives):
        seed = args.first + 10 * index
        print(row(args.care, seed, rig, args.keep, not args.speed_unknown), flush=True)


if __name__ == '__main__':
    main()
