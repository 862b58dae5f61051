"""Random arrays: positions of eight microphones on a vehicle, and their errors.

`FAMILIES` are the shapes of training drives. `HELD_OUT` are shapes that no training drive has, to
test a model on arrays that it has never seen. Every shape is two-dimensional, so that front and
back sound different. Microphones are ordered by their angle about the centre, so that
`audio.features.PAIRS` are neighbours and opposites, as far as the shape has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from avdet_ros.rig import MICROPHONES, Camera, Rig
from avdet_ros.simulation.corruption import Corruption

SMALLEST_SPACING_M = 0.05
"""Minimum distance between two microphones of a drawn array."""

THINNEST_M = 0.03
"""Minimum standard deviation of the positions along the array's narrow direction."""

CARE = {'ideal': 0.1, 'kept': 0.4, 'calibrated': 0.5}
"""How an array was maintained, and the probability of each; see `draw_errors`."""


@dataclass(frozen=True, eq=False)
class DrawnArray:
    """An array on a vehicle.

    Attributes:
        family: name in `FAMILIES` or `HELD_OUT`.
        care: one of `CARE`.
        rig: contents of the rig file.
        errors: how the recording differs from the rig file.
    """

    family: str
    care: str
    rig: Rig
    errors: Corruption


def octagon(rng: np.random.Generator) -> np.ndarray:
    """A regular octagon of 0.12 to 0.6 m radius."""
    angle = np.arange(8) * np.pi / 4 + rng.choice([0.0, np.pi / 8, rng.uniform(0, np.pi / 4)])
    return rng.uniform(0.12, 0.6) * _on_circle(angle)


def roof_rack(rng: np.random.Generator) -> np.ndarray:
    """A rectangle: four microphones at the corners, four more on the long or on all sides."""
    half = np.array([rng.uniform(0.15, 0.65), rng.uniform(0.15, 0.55)])
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
    if rng.random() < 0.5:
        more = np.array([(0, 1), (-1, 0), (0, -1), (1, 0)], float)
    else:
        part = rng.uniform(0.2, 0.45)
        more = np.array([(part, 1), (-part, 1), (-part, -1), (part, -1)])
    return np.concatenate([corners, more]) * half


def bumper_rows(rng: np.random.Generator) -> np.ndarray:
    """Two rows of four across the vehicle, one behind the other."""
    across = np.linspace(-1, 1, 4) * rng.uniform(0.2, 0.8)
    deep, shift = rng.uniform(0.1, 0.5), rng.uniform(-0.08, 0.08)
    front = np.stack([np.full(4, deep / 2), across + shift], axis=-1)
    rear = np.stack([np.full(4, -deep / 2), across - shift], axis=-1)
    return np.concatenate([front, rear])


def bumper_bow(rng: np.random.Generator) -> np.ndarray:
    """One line across the vehicle, bent backwards at its ends like a bumper."""
    part = np.linspace(-1, 1, 8)
    half, bend = rng.uniform(0.35, 0.85), rng.uniform(0.12, 0.45)
    return np.stack([-bend * np.abs(part) ** rng.uniform(1.5, 3), half * part], axis=-1)


def scattered(rng: np.random.Generator) -> np.ndarray:
    """Random positions anywhere on a plate or a roof."""
    return rng.uniform(-1, 1, (8, 2)) * [rng.uniform(0.15, 0.65), rng.uniform(0.15, 0.6)]


def hexagon_and_two(rng: np.random.Generator) -> np.ndarray:
    """A hexagon with two more microphones inside it."""
    radius = rng.uniform(0.2, 0.5)
    inside = rng.uniform(0.25, 0.5) * radius * _on_circle(np.array([0, np.pi]) + rng.uniform(0, 3))
    return np.concatenate([radius * _on_circle(np.arange(6) * np.pi / 3), inside])


def corner(rng: np.random.Generator) -> np.ndarray:
    """An L: two lines that meet at a right angle."""
    along, across = rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.9)
    ahead = [(along * part, 0.0) for part in (0, 0.25, 0.5, 0.75, 1)]
    aside = [(0.0, across * part) for part in (1 / 3, 2 / 3, 1)]
    return np.array(ahead + aside)


def cross(rng: np.random.Generator) -> np.ndarray:
    """Four arms of two microphones each."""
    inner, outer = rng.uniform(0.08, 0.2), rng.uniform(0.28, 0.6)
    arms = _on_circle(np.arange(4) * np.pi / 2)
    return np.concatenate([inner * arms, outer * arms])


def ellipse(rng: np.random.Generator) -> np.ndarray:
    """An ellipse, longer along the vehicle or across it."""
    axes = np.array([rng.uniform(0.35, 0.6), rng.uniform(0.12, 0.25)])
    return _on_circle(np.arange(8) * np.pi / 4) * (axes if rng.random() < 0.5 else axes[::-1])


def double_square(rng: np.random.Generator) -> np.ndarray:
    """Two concentric squares, the inner one rotated by an eighth of a turn."""
    arms = _on_circle(np.arange(4) * np.pi / 2)
    turned = _on_circle(np.arange(4) * np.pi / 2 + np.pi / 4)
    return np.concatenate([rng.uniform(0.3, 0.6) * arms, rng.uniform(0.1, 0.22) * turned])


FAMILIES: Mapping[str, Callable[[np.random.Generator], np.ndarray]] = {
    'octagon': octagon,
    'roof_rack': roof_rack,
    'bumper_rows': bumper_rows,
    'bumper_bow': bumper_bow,
    'scattered': scattered,
}
"""Shapes of training arrays: each maps a random generator to (8, 2) positions, metres."""

HELD_OUT: Mapping[str, Callable[[np.random.Generator], np.ndarray]] = {
    'hexagon_and_two': hexagon_and_two,
    'corner': corner,
    'cross': cross,
    'ellipse': ellipse,
    'double_square': double_square,
}
"""Shapes that no training array has."""

_SHARES = {
    'octagon': 0.35,
    'roof_rack': 0.2,
    'bumper_rows': 0.12,
    'bumper_bow': 0.08,
    'scattered': 0.25,
}


def draw_positions(rng: np.random.Generator, family: str) -> np.ndarray:
    """Draw microphone positions in the array's frame, centred and ordered by angle (`by_angle`).

    Args:
        rng: random generator.
        family: name in `FAMILIES` or `HELD_OUT`.

    Returns:
        (8, 3) float64; heights differ by some millimetres, in one array of five by centimetres.
    """
    shape = FAMILIES.get(family) or HELD_OUT[family]
    while True:
        flat = shape(rng)
        flat = flat - flat.mean(axis=0)
        apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1) + np.eye(MICROPHONES)
        thin = np.linalg.svd(flat, compute_uv=False)[1] / np.sqrt(MICROPHONES)
        if apart.min() >= SMALLEST_SPACING_M and thin >= THINNEST_M:
            break
    height = rng.normal(0, rng.choice([0.0, 0.004, 0.03], p=[0.4, 0.4, 0.2]), MICROPHONES)
    return by_angle(np.column_stack([flat, height - height.mean()]))


def by_angle(positions_m: np.ndarray) -> np.ndarray:
    """Sort (M, 3) positions counter-clockwise about their centre, from straight ahead."""
    about = positions_m[:, :2] - positions_m[:, :2].mean(axis=0)
    angle = np.arctan2(about[:, 1], about[:, 0])
    # a microphone a hair to the right of straight ahead comes first, not last; of two in the
    # same direction the inner one comes first
    angle = np.round((angle + 1e-6) % (2 * np.pi), 5)
    return positions_m[np.lexsort((np.hypot(*about.T), angle))]


def place_of(family: str) -> str:
    """Return where on a vehicle a family is mounted: 'bumper' or 'roof'."""
    return 'bumper' if family.startswith('bumper') else 'roof'


def draw_rig(rng: np.random.Generator, base: Rig, family: str) -> Rig:
    """Draw a rig with an array of a family and a camera similar to the base rig's.

    Args:
        rng: random generator.
        base: rig with the sample rate and the nominal camera.
        family: name in `FAMILIES` or `HELD_OUT`.
    """
    positions = draw_positions(rng, family)
    yaw_deg = float(rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-180, 180))
    if place_of(family) == 'bumper':
        centre = np.array([rng.uniform(1.6, 2.1), rng.normal(0, 0.05), rng.uniform(0.4, 0.9)])
        yaw_deg = float(rng.normal(0, 3))
    else:
        centre = np.array([rng.uniform(-0.9, 0.7), rng.normal(0, 0.1), rng.uniform(1.4, 2.3)])
    turn = Rotation.from_euler('z', yaw_deg, degrees=True)
    return replace(
        base,
        array_position_m=centre,
        array_yaw_deg=yaw_deg,
        microphones_m=turn.apply(positions) + centre,
        camera=_draw_camera(rng, base.camera),
    )


def draw_shape(rng: np.random.Generator, place: Rig, family: str) -> Rig:
    """Draw another array of a family, with the same centre and camera as a rig.

    Args:
        rng: random generator.
        place: rig that gives centre and camera.
        family: name in `FAMILIES` or `HELD_OUT`.
    """
    positions = draw_positions(rng, family)
    if place_of(family) == 'bumper':
        yaw_deg = float(rng.normal(0, 3))
    else:
        yaw_deg = float(rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-180, 180))
    turn = Rotation.from_euler('z', yaw_deg, degrees=True)
    return replace(
        place,
        array_yaw_deg=yaw_deg,
        microphones_m=turn.apply(positions) + place.array_position_m,
    )


def _draw_camera(rng: np.random.Generator, base: Camera) -> Camera:
    tilt = rng.normal(0, [2.0, 1.5, 0.5])
    body = Rotation.from_euler('ZYX', np.clip(tilt, -6, 6), degrees=True).as_matrix()
    focal = rng.uniform(0.85, 1.15)
    return replace(
        base,
        fx=base.fx * focal,
        fy=base.fy * focal,
        position_m=base.position_m + rng.normal(0, [0.15, 0.05, 0.1]),
        rotation=base.rotation @ body.T,
    )


def draw_errors(
    rng: np.random.Generator,
    duration_s: float,
    care: str,
    sample_rate_hz: int = 44100,
) -> Corruption:
    """Draw the remaining differences between the rig file and the real array.

    ``ideal``: none; ``kept``: built with care, never calibrated (positions to 4 mm, delays to
    0.1 sample, gains to 1.5 dB); ``calibrated``: neglected, then calibrated from traffic
    (positions to 4 mm but heights to 10 mm, delays to 5 us, gains to 0.4 dB, yaw to 0.5 degrees).
    One of the eight microphones is dead in one array of eight, two are dead in one of twenty. The
    rig file marks them.

    Args:
        rng: random generator.
        duration_s: length of the drive, in which dropouts are drawn.
        care: one of `CARE`.
        sample_rate_hz: sample rate in which the channels' delays are expressed.
    """
    dead = np.zeros(MICROPHONES, bool)
    missing = int(rng.choice(3, p=[0.825, 0.125, 0.05]))
    dead[rng.permutation(MICROPHONES)[:missing]] = True
    if care == 'ideal':
        return Corruption(dead=dead)
    shading_db = float(rng.uniform(0, 8))
    clock_ppm = float(rng.uniform(-50, 50))
    if care == 'kept':
        return Corruption(
            gain_db=rng.normal(0, rng.uniform(0, 1.5), MICROPHONES),
            position_error_m=rng.normal(0, rng.uniform(0, 0.004), (MICROPHONES, 3)),
            array_yaw_deg=float(np.clip(rng.normal(0, 0.4), -1, 1)),
            delay_samples=rng.normal(0, rng.uniform(0, 0.1), MICROPHONES),
            shading_db=shading_db,
            clock_ppm=clock_ppm,
            dead=dead,
        )
    count = int(rng.integers(1, 4)) if rng.random() < 0.2 else 0
    gaps = np.stack([rng.uniform(0, duration_s, count), rng.uniform(0.005, 0.1, count)], axis=-1)
    return Corruption(
        gain_db=rng.normal(0, rng.uniform(0.05, 0.4), MICROPHONES),
        position_error_m=np.column_stack(
            [
                rng.normal(0, rng.uniform(0.0005, 0.004), (MICROPHONES, 2)),
                rng.normal(0, rng.uniform(0.003, 0.01), MICROPHONES),
            ]
        ),
        array_yaw_deg=float(np.clip(rng.normal(0, 0.5), -1.5, 1.5)),
        delay_samples=rng.normal(0, rng.uniform(0.5e-6, 5e-6) * sample_rate_hz, MICROPHONES),
        shading_db=shading_db,
        clock_ppm=clock_ppm,
        dead=dead,
        gaps_s=gaps[np.argsort(gaps[:, 0])],
    )


def draw_array(
    rng: np.random.Generator,
    base: Rig,
    duration_s: float,
    families: Mapping[str, object] = FAMILIES,
    care: str | None = None,
    beside: DrawnArray | None = None,
) -> DrawnArray:
    """Draw an array of one of several families on a vehicle.

    Args:
        rng: random generator.
        base: see `draw_rig`.
        duration_s: see `draw_errors`.
        families: `FAMILIES` or `HELD_OUT`.
        care: one of `CARE`; None draws it.
        beside: array whose centre and camera the new one shares; None draws them.
    """
    names = [
        name for name in families if beside is None or place_of(name) == place_of(beside.family)
    ]
    shares = np.array([_SHARES.get(name, 1.0) for name in names])
    family = str(rng.choice(names, p=shares / shares.sum()))
    care = care or str(rng.choice(list(CARE), p=list(CARE.values())))
    if beside is None:
        rig = draw_rig(rng, base, family)
    else:
        rig = draw_shape(rng, beside.rig, family)
    errors = draw_errors(rng, duration_s, care, base.sample_rate_hz)
    return DrawnArray(family, care, rig, errors)


def _on_circle(angle_rad: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=-1)
