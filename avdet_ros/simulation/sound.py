"""Render the signals of a drive's eight microphones.

Sound is rendered in frames of a quarter of a second on a fixed grid, each from the scene alone. So
any section of a drive can be rendered independently, and pieces of any size have the same bytes as
the whole.

A near vehicle has three sources: tyres of the front and of the rear axle, 0.01 m above the road,
and the engine with its mirror image below the road. A tyre's image coincides with the tyre, and
CNOSSOS-EU's sound power includes it, so tyres have one path with half-spherical spreading. Between
45 and 55 m these three fade into one source, and between 100 and 120 m that one fades out. Walls
and facades add mirror images of each source. If a building blocks the direct path, sound comes
around its corner.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from avdet_ros.rig import MICROPHONES
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.buildings import reflections, screen_loss_db, screening, stacked
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.frame_geometry import FrameGeometry
from avdet_ros.simulation.propagation import GRID_S, add_path, sinc_filters
from avdet_ros.simulation.scene import HORIZON_M, Scene
from avdet_ros.simulation.signals import BLOCK, FULL_SCALE_PA, Signal
from avdet_ros.simulation.vehicle_signals import vehicle_signal
from avdet_ros.simulation.vehicles import Vehicle

_Path = tuple[np.ndarray, np.ndarray, str]

__all__ = ['FULL_SCALE_PA', 'SoundRenderer', 'render_sound']

FRAMES_PER_S = 4
SPLIT_M = (45.0, 55.0)
FADE_M = (100.0, HORIZON_M)
TYRE_HEIGHT_M = 0.01
IN_SIGHT_M = -1.7
"""Detour below which no screen attenuates audible sound: 20 Hz at -0.19 half wavelengths."""

_TENTHS = np.linspace(0, 1, 11)
_ENGINE_IMAGE_GAIN = 0.745
"""1 / sqrt(1 + 0.9^2): direct and reflected engine sound together have the table's power."""


def render_sound(scene: Scene, start_s: float, duration_s: float) -> np.ndarray:
    """Render the microphone signals of part of a drive.

    Args:
        scene: the drive.
        start_s: first sample's time in the drive, rounded to a sample.
        duration_s: length.

    Returns:
        (8, n) float32 as a fraction of full scale (1.0 is `FULL_SCALE_PA`), in the order of the
        rig's microphones, clipped like the sound card.
    """
    rate = scene.rig.sample_rate_hz
    return _renderer(scene).read(round(start_s * rate), round(duration_s * rate))


@lru_cache(maxsize=4)
def _renderer(scene: Scene) -> SoundRenderer:
    return SoundRenderer(scene)


class SoundRenderer:
    """Renderer of one scene; keeps the last frames and noise blocks for the next call."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.rate = scene.rig.sample_rate_hz
        self.frame_samples = self.rate // FRAMES_PER_S
        self._frames: dict[int, np.ndarray] = {}
        self._signals: dict[tuple[int, str, bool], Signal] = {}
        self._engines: dict[int, Engine] = {}
        self._every = stacked(scene.buildings)
        self._frequency_hz = frequency = np.arange(BLOCK // 2 + 1) * self.rate / BLOCK
        # cached, because all sources of a vehicle need the same instants
        self._distances_m = lru_cache(maxsize=512)(self._find_distances_m)
        self._ego_positions = lru_cache(maxsize=16)(self._find_ego_positions)
        self._screen_db = lru_cache(maxsize=64)(self._find_screen_db)
        self._air_bands_db = lru_cache(maxsize=64)(self._find_air_bands_db)
        self._loss = air_absorption_db_per_m(
            frequency, scene.temperature_c, scene.humidity_percent
        ).astype(np.float32)
        self._noise = [
            self._microphone_noise(index, bool(scene.corruption.dead[index]))
            for index in range(MICROPHONES)
        ]

    def read(self, first: int, count: int) -> np.ndarray:
        """Render samples first ... first + count, (8, count) float32; see `render_sound`."""
        size = self.frame_samples
        low, high = first // size, (first + max(count, 1) - 1) // size
        frames = {
            index: self._frames[index] if index in self._frames else self._frame(index)
            for index in range(low, high + 1)
        }
        self._frames = {index: frames[index] for index in list(frames)[-2:]}
        whole = np.concatenate([frames[index] for index in range(low, high + 1)], axis=1)
        begin = first - low * size
        return np.ascontiguousarray(whole[:, begin : begin + count])

    def _frame(self, index: int) -> np.ndarray:
        scene, rate, size = self.scene, self.rate, self.frame_samples
        first = index * size
        out = np.zeros((MICROPHONES, size), np.float32)
        geometry = FrameGeometry(scene, first / rate, (first + size) / rate)
        for vehicle in scene.vehicles:
            if vehicle.sound.running:
                self._add_vehicle(out, first, vehicle, geometry)
        if scene.ego.sound.running:
            self._add_ego(out, first, geometry)
        for distractor in scene.distractors:
            self._add_distractor(out, first, distractor, geometry)
        errors = scene.corruption
        out[errors.dead] = 0
        for row, noise in enumerate(self._noise):
            out[row] += noise.read(first, size)
        out *= 10 ** (errors.gain_db[:, None].astype(np.float32) / 20)
        out = out[errors.order]
        for start_s, length_s in errors.gaps_s:
            begin = round(start_s * rate) - first
            out[:, max(begin, 0) : max(begin + round(length_s * rate), 0)] = 0
        return np.clip(out, -errors.clip_level, errors.clip_level)

    def _add_vehicle(
        self, out: np.ndarray, first: int, vehicle: Vehicle, geometry: FrameGeometry
    ) -> None:
        ends = geometry.times[[2, -3]]
        rough = np.linalg.norm(vehicle.pose(ends)[0] - geometry.array[[2, -3]], axis=1)
        if rough.min() > HORIZON_M + 80.0 * (ends[1] - ends[0]):
            return
        position, rotation = vehicle.pose(geometry.times)
        forward, up = rotation[:, :, 0], rotation[:, :, 2]
        distance = np.linalg.norm(position - geometry.array, axis=1)
        fade = np.clip((FADE_M[1] - distance) / (FADE_M[1] - FADE_M[0]), 0, 1)
        if not fade.any():
            return
        mix = np.clip((distance - SPLIT_M[0]) / (SPLIT_M[1] - SPLIT_M[0]), 0, 1) * np.pi / 2
        near, far = fade * np.cos(mix) * (mix < np.pi / 2), fade * np.sin(mix)
        tyre = position + TYRE_HEIGHT_M * up
        if near.any():
            axle = vehicle.wheelbase_m / 2 * forward
            for role, points in (('front', tyre + axle), ('rear', tyre - axle)):
                self._add_source(out, first, vehicle, role, points, near, geometry)
            height = vehicle.sound.engine_height_m * up
            nose = position + 0.35 * vehicle.length_m * forward
            gain = near * _ENGINE_IMAGE_GAIN
            below = [(nose - height, gain, 'asphalt')]
            self._add_source(out, first, vehicle, 'engine', nose + height, gain, geometry, below)
        if far.any():
            self._add_source(out, first, vehicle, 'far', tyre, far, geometry)

    def _add_ego(self, out: np.ndarray, first: int, geometry: FrameGeometry) -> None:
        """Add the ego vehicle's tyres and engine, attenuated by its body, fixed to the array."""
        ego = self.scene.ego
        gain = np.full(len(geometry.times), 10 ** (-self.scene.noise.insertion_db / 20))
        axle = ego.wheelbase_m / 2
        for role, place in (
            ('front', (axle, 0.0, 0.05)),
            ('rear', (-axle, 0.0, 0.05)),
            ('engine', (0.35 * ego.length_m, 0.0, 0.5)),
        ):
            points = geometry.position + geometry.rotation @ np.array(place)
            self._add_source(out, first, ego, role, points, gain, geometry)

    def _add_distractor(
        self, out: np.ndarray, first: int, distractor: SoundSource, geometry: FrameGeometry
    ) -> None:
        points = distractor.place(geometry.times)
        distance = np.linalg.norm(points - geometry.array, axis=1)
        fade = np.clip((FADE_M[1] - distance) / (FADE_M[1] - FADE_M[0]), 0, 1)
        if not fade.any():
            return
        shading_db = self.scene.corruption.shading_db
        paths = [(points, fade, 'none')]
        signal = self._distractor_signal(distractor)
        self._add_paths(out, first, signal, paths, shading_db, geometry)

    def _distractor_signal(self, distractor: SoundSource) -> Signal:
        """Return a distractor's signal, created at first use."""
        name = distractor.number, distractor.kind, False
        if name not in self._signals:

            def loss_db(t_s: float) -> np.ndarray:
                apart = distractor.place(t_s) - self.scene.ego.pose(t_s)[0]
                return self._loss * np.float32(np.linalg.norm(apart))

            key = self.scene.seed, (2 << 32) + distractor.number
            self._signals[name] = distractor.signal(key, self.rate, loss_db)
        return self._signals[name]

    def _add_source(
        self,
        out: np.ndarray,
        first: int,
        vehicle: Vehicle,
        role: str,
        points: np.ndarray,
        weight: np.ndarray,
        geometry: FrameGeometry,
        more: list[_Path] | None = None,
    ) -> None:
        """Add one source of a vehicle over its direct path, further paths and the walls."""
        if role in ('front', 'rear') and vehicle.kind == 'motorcycle':
            return
        paths = [(points, weight, 'none'), *(more or [])]
        walls = self.scene.walls
        if walls is not None and vehicle.road is walls.road:
            times = geometry.times
            for image, gain in walls.images(
                points,
                vehicle.motion.along_m(times),
                geometry.array,
                self.scene.ego.motion.along_m(times),
            ):
                if gain.any():
                    paths.append((image, gain * weight, 'asphalt'))
        shading_db = self.scene.corruption.shading_db if vehicle.vehicle_id else 0.0
        screened = bool(self.scene.buildings) and vehicle.vehicle_id > 0
        if screened:
            paths, echoes, screened = self._around_buildings(paths, geometry)
            if screened and echoes:
                signal = self._signal(vehicle, role)
                self._add_paths(out, first, signal, echoes, shading_db, geometry)
            elif echoes:
                paths += echoes
        signal = self._signal(vehicle, role, screened)
        self._add_paths(out, first, signal, paths, shading_db, geometry)

    def _around_buildings(
        self, paths: list[_Path], geometry: FrameGeometry
    ) -> tuple[list[_Path], list[_Path], bool]:
        """Return paths around corners, reflected paths, whether buildings attenuate the former."""
        around, echoes, weaker = [], [], False
        for place, weight, surface in paths:
            detour, ways = screening(self._every, place, geometry.array)
            weaker = weaker or detour.max() > IN_SIGHT_M
            around += [(apparent, weight * share, surface) for apparent, share in ways]
            for image, gain in reflections(
                self.scene.buildings, self._every, place, geometry.array
            ):
                echoes.append((image, gain * weight, surface))
        return around, echoes, weaker

    def _add_paths(
        self,
        out: np.ndarray,
        first: int,
        signal: Signal,
        paths: list[_Path],
        shading_db: float,
        geometry: FrameGeometry,
    ) -> None:
        """Add a signal over several paths: positions (G, 3), gain (G,) and surface of each."""
        c, errors = self.scene.speed_of_sound_mps, self.scene.corruption
        apart = np.array([np.linalg.norm(at - geometry.array, axis=1) for at, _, _ in paths])
        # while the sound travels, the array moves by up to 0.15 of the distance
        furthest, nearest = 1.15 * apart.max() + 5.0, max(0.85 * apart.min() - 5.0, 0.0)
        begin = int(np.floor((geometry.begin_s - furthest / c) * self.rate)) - 64
        end = int(np.ceil((geometry.end_s - nearest / c) * self.rate)) + 400
        sound = signal.read(begin, end - begin)
        for points, weight, surface in paths:
            add_path(
                out,
                first,
                float(self.rate),
                1.0 + errors.clock_ppm * 1e-6,
                errors.delay_samples,
                sound,
                begin,
                points,
                weight,
                geometry.microphones,
                geometry.outward,
                shading_db,
                geometry.first,
                GRID_S,
                c,
                sinc_filters(self.rate, surface),
            )

    def _signal(self, vehicle: Vehicle, role: str, screened: bool = False) -> Signal:
        """Return a vehicle source's signal, created at first use; `screened` by buildings."""
        name = vehicle.vehicle_id, role, screened
        if name not in self._signals:
            if vehicle.vehicle_id not in self._engines:
                engine = Engine(vehicle, self.scene.seed, self.rate)
                self._engines[vehicle.vehicle_id] = engine

            def loss_db(t_s: float) -> np.ndarray:
                loss = self._loss * np.float32(self._distance_m(vehicle, t_s))
                return loss + self._screen_db(vehicle, t_s) if screened else loss

            self._signals[name] = vehicle_signal(
                vehicle,
                role,
                self.scene.seed,
                self.rate,
                self._engines[vehicle.vehicle_id],
                loss_db if vehicle.vehicle_id else None,
                self.scene.recordings,
            )
        return self._signals[name]

    def _distance_m(self, vehicle: Vehicle, t_s: float) -> float:
        """Return the distance to the ego vehicle, linear between tenths of a second."""
        second = int(np.floor(t_s))
        distances = self._distances_m(vehicle, second)
        return float(np.interp(t_s - second, _TENTHS, distances))

    def _find_screen_db(self, vehicle: Vehicle, t_s: float) -> np.ndarray:
        """Compute the (F,) float32 attenuation by buildings at a time."""
        position, rotation = self.scene.ego_pose(np.array([t_s]))
        array = position + rotation @ self.scene.rig.array_position_m
        detour, _ = screening(self._every, vehicle.pose(np.array([t_s]))[0], array)
        c = self.scene.speed_of_sound_mps
        return screen_loss_db(detour[0], self._frequency_hz, c).astype(np.float32)

    def _find_distances_m(self, vehicle: Vehicle, second: int) -> np.ndarray:
        times = second + _TENTHS
        return np.linalg.norm(vehicle.pose(times)[0] - self._ego_positions(second), axis=1)

    def _find_ego_positions(self, second: int) -> np.ndarray:
        return self.scene.ego.pose(second + _TENTHS)[0]

    def _find_air_bands_db(self, t_s: float) -> np.ndarray:
        return self.scene.noise.bands_db(float(self.scene.ego.speed_mps(t_s)))

    def _microphone_noise(self, index: int, dead: bool) -> Signal:
        scene = self.scene
        gust = scene.noise.gust_bands_db(index)

        def noise_db(t_s: float) -> np.ndarray:
            if dead:
                return scene.noise.self_bands_db()
            return self._air_bands_db(t_s) if gust is None else self._air_bands_db(t_s) + gust

        return Signal((scene.seed, (1 << 32) + index), self.rate, noise_db, pressure=True)
