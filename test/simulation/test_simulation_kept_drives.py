"""The drives of a seed do not change, because seeds define training and test sets.

A score belongs to the drives that its seeds draw, so an unintended change of a world, a picture or
a sound makes scores differ from those measured before. `kept_drives.json` holds a few numbers for
each part of the drives. After an intended change, which the changelog must mention,

    python test/simulation/test_simulation_kept_drives.py

writes them again.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
import json
from pathlib import Path
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.angles import angle_labels
from avdet_ros.simulation.arrays import FAMILIES, HELD_OUT, draw_errors, draw_rig
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.corruption import Corruption
from avdet_ros.simulation.pictures import Cameras, random_conditions
from avdet_ros.simulation.pictures.bodies import body_of
from avdet_ros.simulation.pictures.light import shade_bodies
from avdet_ros.simulation.pictures.sky import panorama
from avdet_ros.simulation.plan import Plan, plan_drives
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.variety import varied

KEPT = Path(__file__).with_name('kept_drives.json')
SEEDS = {
    300_001: 'motorway by night, rain',
    300_002: 'junction at dusk',
    300_003: 'country',
    300_005: 'city',
    300_010: 'roadside',
    300_015: 'tunnel',
}
QUICK = (300_002, 300_015)
INSTANT_S = 1.0


def small_rig(parts: int = 6) -> Rig:
    """The package's rig with a sixth of the pixels in each direction, which is fast to paint."""
    rig = load_rig()
    camera = rig.camera
    return replace(
        rig,
        camera=replace(
            camera,
            width_px=camera.width_px // parts,
            height_px=camera.height_px // parts,
            fx=camera.fx / parts,
            fy=camera.fy / parts,
            cx=camera.cx / parts,
            cy=camera.cy / parts,
        ),
    )


@cache
def scene_of(seed: int) -> Scene:
    """A drive with everything that can be drawn."""
    return varied(Condition('furnished', 'neglected').scene(seed, small_rig(), 4.0))


def numbers_of(value: Any) -> list[float]:
    """All numbers in a tree of dataclasses, in order; values without numbers are skipped."""
    if isinstance(value, str):
        return [float(sum(map(ord, value)))]
    if isinstance(value, (bool, int, float, np.ndarray, np.generic)):
        plain = np.asarray(value, np.float64).ravel()
        return np.nan_to_num(plain, nan=-7e5, posinf=9e5, neginf=-9e5).tolist()
    if isinstance(value, CubicSpline):
        return numbers_of(value.c) + numbers_of(value.x)
    if isinstance(value, Rig):
        return []
    if is_dataclass(value):
        return [
            number for item in fields(value) for number in numbers_of(getattr(value, item.name))
        ]
    if isinstance(value, (tuple, list)):
        return [number for item in value for number in numbers_of(item)]
    return []


def fingerprint(value: Any) -> list[float]:
    """The count of all numbers, and two sums that change with any of them."""
    numbers = np.array(numbers_of(value))
    places = np.arange(len(numbers))
    return [
        float(len(numbers)),
        *(float(numbers @ np.cos(step * places + 1)) for step in (0.7, 1.9)),
    ]


def world_of(seed: int) -> dict[str, list[float]]:
    """Fingerprints of the drawn world and of its truth."""
    scene = scene_of(seed)
    found = {
        name: fingerprint(getattr(scene, name))
        for name in ('setting', 'ego', 'vehicles', 'noise', 'corruption', 'walls', 'distractors')
    }
    found |= {name: fingerprint(getattr(scene, name)) for name in ('buildings', 'temperature_c')}
    found['body'] = fingerprint((scene.ego_turn_deg, scene.body_sway, scene.humidity_percent))
    found['conditions'] = fingerprint(random_conditions(seed, scene.temperature_c))
    truth = scene.truth(INSTANT_S)
    found |= {
        name: fingerprint(getattr(truth, name)) for name in ('boxes_px', 'ids', 'distance_m')
    }
    found |= {name: fingerprint(getattr(truth, name)) for name in ('visible_fraction', 'level_db')}
    found['angles'] = fingerprint(angle_labels(scene, INSTANT_S))
    return found


def arrays_of(family: str) -> list[float]:
    """Fingerprint of an array of a family, with errors for three levels of care."""
    rng = np.random.default_rng(5)
    rig = draw_rig(rng, load_rig(), family)
    errors = [draw_errors(rng, 20.0, care) for care in ('ideal', 'kept', 'calibrated')]
    camera = rig.camera
    return fingerprint(
        (rig.microphones_m, rig.array_position_m, camera.position_m, camera.rotation, *errors)
    )


@cache
def cameras_of(seed: int) -> Cameras:
    """Cameras of a drive, with everything that stands beside its road."""
    scene = scene_of(seed)
    return Cameras(scene, random_conditions(seed, scene.temperature_c))


def shapes_of(seed: int) -> dict[str, list[float]]:
    """Corners, colours and layers of everything painted, and the colours after lighting."""
    world = cameras_of(seed).world
    still, conditions = world.surroundings, world.conditions
    found = {
        'ground': fingerprint((still.ground, still.first_face, still.first_m, still.edges_m)),
        'things': fingerprint(still.things),
        'vehicles': fingerprint([body_of(vehicle) for vehicle in world.scene.vehicles]),
    }
    composed = world.compose(INSTANT_S)
    colours = shade_bodies(composed, conditions, still.tunnel, still.lamps_m)
    found['shades'] = [*colours.mean(axis=0), *np.average(colours**2, 0, composed.depth_m)]
    sky, land = panorama(conditions, world.scene.setting)
    found['sky'] = [float(land.mean()), *sky.mean(axis=(0, 1)), *sky.std(axis=(0, 1))]
    return {name: [float(number) for number in row] for name, row in found.items()}


def pictures_of(seed: int) -> dict[str, list[int]]:
    """Small pictures at one time: colours, sixteenths of a kelvin, decimetres."""
    frame = cameras_of(seed).frame(INSTANT_S)
    parts = {
        'rgb': frame.rgb.astype(np.float32),
        'thermal': frame.thermal.astype(np.float32) / 5,
        'depth': frame.depth.astype(np.float32),
        'depth_m': np.minimum(frame.depth_m.astype(np.float32), 60) * 10,
    }
    return {
        name: cv2.resize(part, (20, 9), interpolation=cv2.INTER_AREA).round().ravel().astype(int)
        for name, part in parts.items()
    }


def sound_of(seed: int) -> np.ndarray:
    """(8, 6) level of each channel in octaves from 250 Hz to 8 kHz, dB."""
    sound = render_sound(scene_of(seed), INSTANT_S, 0.1).astype(np.float64)
    power = np.abs(np.fft.rfft(sound * np.hanning(sound.shape[1]))) ** 2
    octave = np.round(np.log2(np.maximum(np.fft.rfftfreq(sound.shape[1], 1 / 44100), 1) / 250))
    bands = [power[:, octave == number].sum(axis=1) for number in range(6)]
    return 10 * np.log10(np.maximum(np.stack(bands, axis=1), 1e-12))


def quick_of(seed: int) -> np.ndarray:
    """(2, 8, 3, 3) of two arrays' channels at 0.5, 2 and 6 kHz: dB, and phase to channel 0."""
    scene = scene_of(seed)
    front_end = FrontEnd.of(scene.rig)
    scenes = [scene, replace(scene, corruption=Corruption())]
    found = QuickSound(scenes, front_end).spectra(INSTANT_S, 3).astype(np.float64)
    spectra = found[:, :, :8] + 1j * found[:, :, 8:]
    parts = []
    for middle_hz in (500, 2000, 6000):
        middle = round(middle_hz * front_end.n_fft / scene.rig.sample_rate_hz)
        band = spectra[..., middle - middle // 4 : middle + middle // 4]
        power = np.mean(np.abs(band) ** 2, axis=(1, 3))
        cross = np.mean(band * band[:, :, :1].conj(), axis=(1, 3))
        cross /= np.maximum(np.sqrt(power * power[:, :1]), 1e-12)
        parts.append([10 * np.log10(np.maximum(power, 1e-12)), 20 * cross.real, 20 * cross.imag])
    return np.array(parts).transpose(2, 3, 0, 1)


def plans_of() -> list[float]:
    """Splits, seeds and times of the drives of a run."""
    plans = [Plan(), Plan(drives=7, minutes=0.3, seed=5, fps=3.0, clips=False, clean_too=True)]
    drives = [plan_drives(plan) for plan in plans]
    return fingerprint(
        (drives, [plan.times_s() for plan in plans], [p.needed_bytes() for p in plans])
    )


@pytest.fixture(scope='module')
def kept() -> dict[str, Any]:
    return json.loads(KEPT.read_text(encoding='utf-8'))


@pytest.mark.parametrize('seed', SEEDS)
def test_world_of_a_seed_is_unchanged(kept, seed):
    before = kept['worlds'][str(seed)]
    now = world_of(seed)
    assert set(now) == set(before)
    for name, numbers in now.items():
        assert numbers == pytest.approx(before[name], rel=1e-6, abs=1e-4), name


def test_drawn_arrays_are_unchanged(kept):
    for family in (*FAMILIES, *HELD_OUT):
        assert arrays_of(family) == pytest.approx(kept['arrays'][family], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize('seed', SEEDS)
def test_painted_shapes_and_colours_of_a_seed_are_unchanged(kept, seed):
    before = kept['shapes'][str(seed)]
    for name, numbers in shapes_of(seed).items():
        seen = name in ('shades', 'sky')  # rounding differs between processors
        rel, apart = (1e-4, 1e-6) if seen else (1e-6, 1e-4)
        assert numbers == pytest.approx(before[name], rel=rel, abs=apart), name


@pytest.mark.parametrize('seed', SEEDS)
def test_pictures_of_a_seed_are_unchanged(kept, seed):
    for name, pixels in pictures_of(seed).items():
        apart = np.abs(np.subtract(pixels, kept['pictures'][str(seed)][name]))
        # Rounding differs between processors.
        assert apart.max() <= 2, f'{name}: {np.count_nonzero(apart > 2)} of {apart.size}'


@pytest.mark.parametrize('seed', SEEDS)
def test_sound_of_a_seed_is_unchanged(kept, seed):
    np.testing.assert_allclose(sound_of(seed), kept['sounds'][str(seed)], atol=0.05)


@pytest.mark.parametrize('seed', QUICK)
def test_quick_sound_of_a_seed_is_unchanged(kept, seed):
    np.testing.assert_allclose(quick_of(seed), kept['quick'][str(seed)], atol=0.05)


def test_drives_of_a_run_are_unchanged(kept):
    assert plans_of() == pytest.approx(kept['plans'], rel=1e-9)


def keep() -> dict[str, Any]:
    """Everything that `kept_drives.json` holds."""
    return {
        'worlds': {
            seed: {name: [float(f'{n:.9g}') for n in row] for name, row in world_of(seed).items()}
            for seed in SEEDS
        },
        'arrays': {
            family: [float(f'{n:.9g}') for n in arrays_of(family)]
            for family in (*FAMILIES, *HELD_OUT)
        },
        'plans': plans_of(),
        'quick': {seed: quick_of(seed).round(3).tolist() for seed in QUICK},
        'sounds': {seed: sound_of(seed).round(3).tolist() for seed in SEEDS},
        'shapes': {
            seed: {name: [float(f'{n:.9g}') for n in row] for name, row in shapes_of(seed).items()}
            for seed in SEEDS
        },
        'pictures': {
            seed: {name: pixels.tolist() for name, pixels in pictures_of(seed).items()}
            for seed in SEEDS
        },
    }


if __name__ == '__main__':
    KEPT.write_text(json.dumps(keep()) + '\n', encoding='utf-8')
    sys.exit(0)
