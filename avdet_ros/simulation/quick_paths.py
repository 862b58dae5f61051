"""Sound paths to the array during one window: the sources and their images.

The world is that of `sound.SoundRenderer`, but a whole window is computed at once: positions on
one grid, levels of each source at a few instants, no inaudible paths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.buildings import reflections, screening, stacked
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.fleet import fleet_poses
from avdet_ros.simulation.scene import HORIZON_M, Scene
from avdet_ros.simulation.sound import (
    _ENGINE_IMAGE_GAIN,
    FADE_M,
    IN_SIGHT_M,
    SPLIT_M,
    TYRE_HEIGHT_M,
)
from avdet_ros.simulation.vehicles import Vehicle

GRID_S = 0.02
"""Grid step of trajectories; they are cubic between grid points."""

LOOK_BACK_S = 0.75
"""Maximum time from emission to reception."""


@dataclass(frozen=True, eq=False)
class Way:
    """One path of a source.

    Attributes:
        places_m: (G, 3) positions of the source or its image.
        weight: (G,) gain in addition to 1 / R.
        surface: 'none', or 'asphalt' for a reflected path.
    """

    places_m: np.ndarray
    weight: np.ndarray
    surface: str = 'none'


@dataclass(eq=False)
class Source:
    """The source of one signal.

    Attributes:
        name: number of the vehicle or other source, role, whether buildings attenuate it.
        noise_db: maps times (S,) to (S, 8) octave sound power levels of the noise.
        ways: its paths.
        engine: engine that gives the tones, or None.
        vehicle: the vehicle, or None.
        air_m: (G,) length of the path through the air; zeros for the ego vehicle.
        detour_m: (G,) detour around buildings, see `buildings.screening`; None if in sight.
        sound: non-vehicle source with its own signal, not just noise; None otherwise.
        shaded: whether the ego vehicle's body shades it.
        bins: number of bins of its spectra to add; set by `leave_out`.
    """

    name: tuple[int, str, bool]
    noise_db: Callable[[np.ndarray], np.ndarray]
    ways: list[Way]
    air_m: np.ndarray
    engine: Engine | None = None
    vehicle: Vehicle | None = None
    detour_m: np.ndarray | None = None
    sound: SoundSource | None = None
    shaded: bool = True
    bins: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Stage:
    """Movement of the array on the grid.

    Attributes:
        first: index of the first grid point.
        times_s: (G,) multiples of `GRID_S`.
        position: (G, 3) position of base_link.
        rotation: (G, 3, 3) base_link to world.
        array: (G, 3) middle of the array.
    """

    first: int
    times_s: np.ndarray
    position: np.ndarray
    rotation: np.ndarray
    array: np.ndarray


def make_stage(scene: Scene, begin_s: float, end_s: float) -> Stage:
    """Make the grid from `LOOK_BACK_S` before a stretch of time to its end."""
    first = int(np.floor((begin_s - LOOK_BACK_S) / GRID_S)) - 2
    last = int(np.ceil(end_s / GRID_S)) + 4
    times = np.arange(first, last + 1) * GRID_S
    position, rotation = scene.ego_pose(times)
    array = position + rotation @ scene.rig.array_position_m
    return Stage(first, times, position, rotation, array)


def find_sources(scene: Scene, stage: Stage, engines: dict[int, Engine]) -> list[Source]:
    """Find all sources within `HORIZON_M` with all their paths.

    Args:
        scene: the drive.
        stage: result of `make_stage`.
        engines: filled with the vehicles' engines; pass the same dict for all windows of a drive.
    """
    found: list[Source] = []
    running = [vehicle for vehicle in scene.vehicles if vehicle.sound.running]
    if running:
        ends = [0, len(stage.times_s) // 2, len(stage.times_s) - 1]
        rough = fleet_poses(running, stage.times_s[ends])[0] - stage.array[ends]
        reach = HORIZON_M + 40.0 * (stage.times_s[-1] - stage.times_s[0])
        close = np.linalg.norm(rough, axis=-1).min(axis=1) <= reach
        near = [vehicle for vehicle, stays in zip(running, close, strict=True) if stays]
        for vehicle, place, turned in zip(near, *fleet_poses(near, stage.times_s), strict=True):
            found += _vehicle_sources(scene, stage, vehicle, place, turned, engines)
    if scene.ego.sound.running:
        found += _own_sources(scene, stage, engines)
    for distractor in scene.distractors:
        found += _distractor_sources(scene, stage, distractor)
    return found


def _engine(scene: Scene, vehicle: Vehicle, engines: dict[int, Engine]) -> Engine:
    if vehicle.vehicle_id not in engines:
        engines[vehicle.vehicle_id] = Engine(vehicle, scene.seed, scene.rig.sample_rate_hz)
    return engines[vehicle.vehicle_id]


def _vehicle_sources(
    scene: Scene,
    stage: Stage,
    vehicle: Vehicle,
    position: np.ndarray,
    rotation: np.ndarray,
    engines: dict[int, Engine],
) -> list[Source]:
    forward, up = rotation[:, :, 0], rotation[:, :, 2]
    distance = np.linalg.norm(position - stage.array, axis=1)
    fade = np.clip((FADE_M[1] - distance) / (FADE_M[1] - FADE_M[0]), 0, 1)
    if not fade.any():
        return []
    mix = np.clip((distance - SPLIT_M[0]) / (SPLIT_M[1] - SPLIT_M[0]), 0, 1) * np.pi / 2
    near, far = fade * np.cos(mix) * (mix < np.pi / 2), fade * np.sin(mix)
    engine = _engine(scene, vehicle, engines)
    tyre = position + TYRE_HEIGHT_M * up

    def tyres_db(t_s: np.ndarray) -> np.ndarray:
        return vehicle.sound.rolling_db(vehicle.speed_mps(t_s))

    def axle_db(t_s: np.ndarray) -> np.ndarray:
        return tyres_db(t_s) - 10 * np.log10(2)

    def all_db(t_s: np.ndarray) -> np.ndarray:
        return cnossos.add_levels(engine.noise_db(t_s), tyres_db(t_s))

    parts: list[tuple[str, list[Way], Callable[[np.ndarray], np.ndarray], Engine | None]] = []
    if near.any():
        axle = vehicle.wheelbase_m / 2 * forward
        if vehicle.kind != 'motorcycle':
            parts.append(('front', [Way(tyre + axle, near)], axle_db, None))
            parts.append(('rear', [Way(tyre - axle, near)], axle_db, None))
        height = vehicle.sound.engine_height_m * up
        nose = position + 0.35 * vehicle.length_m * forward
        gain = near * _ENGINE_IMAGE_GAIN
        below = Way(nose - height, gain, 'asphalt')
        parts.append(('engine', [Way(nose + height, gain), below], engine.noise_db, engine))
    if far.any():
        parts.append(('far', [Way(tyre, far)], all_db, engine))
    air_m = np.linalg.norm(position - stage.position, axis=1)
    along = vehicle.motion.along_m(stage.times_s)
    found = []
    for role, ways, noise_db, tones in parts:
        ways = ways + _wall_images(scene, stage, vehicle, along, ways[0])
        name = vehicle.vehicle_id, role, False
        source = Source(name, noise_db, ways, air_m, tones, vehicle)
        found += _around_buildings(scene, stage, source) if scene.buildings else [source]
    return found


def _wall_images(
    scene: Scene, stage: Stage, vehicle: Vehicle, along_m: np.ndarray, way: Way
) -> list[Way]:
    walls = scene.walls
    if walls is None or vehicle.road is not walls.road:
        return []
    ego_along_m = scene.ego.motion.along_m(stage.times_s)
    images = walls.images(way.places_m, along_m, stage.array, ego_along_m)
    return [Way(image, gain * way.weight, 'asphalt') for image, gain in images if gain.any()]


def _around_buildings(scene: Scene, stage: Stage, source: Source) -> list[Source]:
    """Replace a source's paths by those around corners, and add reflections at facades."""
    every = stacked(scene.buildings)
    around, echoes, weaker = [], [], False
    for way in source.ways:
        detour, taken = screening(every, way.places_m, stage.array)
        weaker = weaker or detour.max() > IN_SIGHT_M
        around += [Way(place, way.weight * part, way.surface) for place, part in taken]
        for image, gain in reflections(scene.buildings, every, way.places_m, stage.array):
            echoes.append(Way(image, gain * way.weight, way.surface))
    if not weaker or source.vehicle is None:
        source.ways = around + echoes
        return [source]
    echo = Source(
        source.name, source.noise_db, echoes, source.air_m, source.engine, source.vehicle
    )
    source.name = (*source.name[:2], True)
    source.ways = around
    source.detour_m = screening(every, source.vehicle.pose(stage.times_s)[0], stage.array)[0]
    return [source, echo] if echoes else [source]


def _own_sources(scene: Scene, stage: Stage, engines: dict[int, Engine]) -> list[Source]:
    ego = scene.ego
    gain = np.full(len(stage.times_s), 10 ** (-scene.noise.insertion_db / 20))
    engine = _engine(scene, ego, engines)
    axle = ego.wheelbase_m / 2
    along = ego.motion.along_m(stage.times_s)
    found = []

    def axle_db(t_s: np.ndarray) -> np.ndarray:
        return ego.sound.rolling_db(ego.speed_mps(t_s)) - 10 * np.log10(2)

    for role, place, noise_db, tones in (
        ('front', (axle, 0.0, 0.05), axle_db, None),
        ('rear', (-axle, 0.0, 0.05), axle_db, None),
        ('engine', (0.35 * ego.length_m, 0.0, 0.5), engine.noise_db, engine),
    ):
        way = Way(stage.position + stage.rotation @ np.array(place), gain)
        ways = [way, *_wall_images(scene, stage, ego, along, way)]
        air = np.zeros(len(gain))
        name = ego.vehicle_id, role, False
        found.append(Source(name, noise_db, ways, air, tones, ego, shaded=False))
    return found


def _distractor_sources(scene: Scene, stage: Stage, distractor: SoundSource) -> list[Source]:
    places = distractor.place(stage.times_s)
    distance = np.linalg.norm(places - stage.array, axis=1)
    fade = np.clip((FADE_M[1] - distance) / (FADE_M[1] - FADE_M[0]), 0, 1)
    if not fade.any():
        return []

    def noise_db(t_s: np.ndarray) -> np.ndarray:
        return np.array([distractor.bands_db(float(t)) for t in t_s])

    air_m = np.linalg.norm(places - stage.position, axis=1)
    name = distractor.number, distractor.kind, False
    sound = None if distractor.noise_only else distractor
    return [Source(name, noise_db, [Way(places, fade)], air_m, sound=sound)]
