"""A drive: the ego vehicle and traffic on a road, and the ground truth at any time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from avdet_ros.audio.geometry import speed_of_sound_mps
from avdet_ros.detection.boxes import clip_boxes, inside_share
from avdet_ros.rig import Rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.buildings import (
    Building,
    reflections,
    screen_loss_db,
    screening,
    sight,
    stacked,
)
from avdet_ros.simulation.corruption import Corruption
from avdet_ros.simulation.distractors import SoundSource
from avdet_ros.simulation.recordings import Recordings
from avdet_ros.simulation.road import Road, Route
from avdet_ros.simulation.truth import Truth
from avdet_ros.simulation.vehicles import Vehicle
from avdet_ros.simulation.walls import Walls

HORIZON_M = 120.0
"""Vehicles farther away are neither rendered nor part of the truth."""

NEAR_PLANE_M = 0.2
AUDIBLE_DB = -18.0
"""Minimum A-weighted level of an audible vehicle at the array, relative to all other sound."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of the ego vehicle and the air at the array.

    Attributes:
        insertion_db: attenuation of the ego vehicle's engine and tyre sound by its body.
        wind_db: level of wind noise at a microphone at 10 m/s, dB SPL; rises with
            60 lg of the speed.
        breeze_mps: wind speed when standing.
        self_db: self-noise of a microphone, dB(A) equivalent.
        ambient_db: distant hum, dB SPL at each microphone, incoherent.
    """

    insertion_db: float = 20.0
    wind_db: float = 55.0
    breeze_mps: float = 1.0
    self_db: float = 27.0
    ambient_db: float = 38.0

    def bands_db(self, speed_mps: float) -> np.ndarray:
        """Return (8,) octave sound pressure levels of all noise incoherent between microphones.

        Wind: flat below 6 Hz per m/s, then falling by 25 dB per decade.
        """
        wind = max(abs(speed_mps) + self.breeze_mps, 0.1)
        shape = -12.5 * np.log10(1 + (cnossos.BANDS_HZ / (6 * wind)) ** 2)
        wind_bands = shape - cnossos.add_levels(*shape) + self.wind_db + 60 * np.log10(wind / 10)
        hum = -4.0 * np.arange(8)
        hum_bands = hum - cnossos.add_levels(*hum) + self.ambient_db
        return cnossos.add_levels(wind_bands, hum_bands, self.self_bands_db())

    def gust_bands_db(self, microphone: int) -> np.ndarray | None:
        """Return what gusts add to the octave levels of one microphone; None for nothing."""
        return None

    def self_bands_db(self) -> np.ndarray:
        """Return (8,) octave levels of the white self-noise."""
        white = 3.0 * np.arange(8)
        return white - cnossos.a_weighted_db(white) + self.self_db


@dataclass(frozen=True, eq=False)
class Scene:
    """One drive, fully determined by its attributes; the same seed makes the same scene.

    World frame: metres, z up. The ego vehicle's base_link is the middle of its footprint.

    Attributes:
        seed: identifies the drive and keys its noise.
        duration_s: length of the drive; poses and sound also exist slightly outside.
        rig: microphones and camera.
        setting: 'city', 'country', 'motorway', 'roadside', 'junction' or 'tunnel'.
        ego: the ego vehicle.
        ego_turn_deg: yaw of the standing ego vehicle relative to its lane.
        body_sway: (2, 3) amplitude in degrees, rate in rad/s and phase of pitch and roll.
        vehicles: all other vehicles.
        temperature_c: temperature of the air.
        humidity_percent: relative humidity of the air.
        noise: ego vehicle's insertion loss, wind and self-noise.
        corruption: errors of the recording.
        walls: walls of a tunnel or of buildings along the road, None in the open.
        distractors: sound sources other than vehicles.
        recordings: loops that replace the synthetic sound of engines and tyres.
        buildings: buildings at a junction, which hide the vehicles behind them.
    """

    seed: int
    duration_s: float
    rig: Rig
    setting: str
    ego: Vehicle
    vehicles: tuple[Vehicle, ...]
    ego_turn_deg: float = 0.0
    body_sway: tuple[tuple[float, float, float], ...] = ((0.0, 1.0, 0.0), (0.0, 1.0, 0.0))
    temperature_c: float = 20.0
    humidity_percent: float = 60.0
    noise: Noise = field(default_factory=Noise)
    corruption: Corruption = field(default_factory=Corruption)
    walls: Walls | None = None
    distractors: tuple[SoundSource, ...] = ()
    recordings: Recordings | None = None
    buildings: tuple[Building, ...] = ()

    @property
    def speed_of_sound_mps(self) -> float:
        """Speed of sound in this drive's air."""
        return speed_of_sound_mps(self.temperature_c)

    @property
    def crossing(self) -> Road | None:
        """The crossing road, if there is traffic on it."""
        for vehicle in self.vehicles:
            if vehicle.road is not self.ego.road and not isinstance(vehicle.road, Route):
                return vehicle.road
        return None

    def ego_pose(self, t_s: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return base_link's pose: position (..., 3), rotation (..., 3, 3) base_link to world."""
        t = np.asarray(t_s, np.float64)
        position, rotation = self.ego.pose(t)
        (pitch, pitch_rate, pitch_phase), (roll, roll_rate, roll_phase) = self.body_sway
        angles = np.stack(
            [
                np.full(t.shape, self.ego_turn_deg),
                pitch * np.sin(pitch_rate * t + pitch_phase),
                roll * np.sin(roll_rate * t + roll_phase),
            ],
            axis=-1,
        )
        sway = Rotation.from_euler('ZYX', angles.reshape(-1, 3), degrees=True).as_matrix()
        return position, rotation @ sway.reshape(*t.shape, 3, 3)

    def microphones_m(self) -> np.ndarray:
        """Return (8, 3) float64 true microphone positions in base_link, including errors."""
        turn = Rotation.from_euler('z', self.corruption.array_yaw_deg, degrees=True)
        centre = self.rig.array_position_m
        return (
            turn.apply(self.rig.microphones_m - centre) + centre + self.corruption.position_error_m
        )

    def truth(self, t_s: float) -> Truth:
        """Compute boxes, visible fractions and levels at the array of all vehicles."""
        position, rotation = self.ego_pose(float(t_s))
        array = position + rotation @ self.rig.array_position_m
        poses = [(vehicle, *vehicle.pose(float(t_s))) for vehicle in self.vehicles]
        middles = np.array([p + r[:, 2] * v.height_m / 2 for v, p, r in poses]).reshape(-1, 3)
        distance = np.linalg.norm(middles - array, axis=1)
        order = [int(i) for i in np.argsort(distance) if distance[i] < HORIZON_M]
        poses, distance = [poses[i] for i in order], distance[order]
        raw = np.zeros((len(poses), 4))
        for row, (vehicle, place, turn) in enumerate(poses):
            corners = place + vehicle.outline_m() @ turn.T
            raw[row] = self._box((corners - position) @ rotation)
        camera = self.rig.camera
        boxes = clip_boxes(raw, camera.width_px, camera.height_px)
        in_image = inside_share(raw, camera.width_px, camera.height_px)
        boxes[in_image <= 0] = 0
        level, rest = self._levels([v for v, _, _ in poses], distance, float(t_s), array)
        return Truth(
            time_s=float(t_s),
            boxes_px=boxes.astype(np.float32),
            ids=np.array([vehicle.vehicle_id for vehicle, _, _ in poses], np.int64),
            kinds=tuple(vehicle.kind for vehicle, _, _ in poses),
            distance_m=distance.astype(np.float32),
            speed_mps=np.array([v.speed_mps(t_s) for v, _, _ in poses], np.float32),
            in_image=in_image.astype(np.float32),
            visible_fraction=(
                in_image * _uncovered(boxes) * self._in_sight(poses, position, rotation)
            ).astype(np.float32),
            level_db=level.astype(np.float32),
            rest_db=rest.astype(np.float32),
            audible=level - rest >= AUDIBLE_DB,
        )

    def labels(self, t_s: float) -> Truth:
        """Return the vehicles a sound-based detector should report, see `Truth.labels`."""
        return self.truth(t_s).labels()

    def _box(self, corners: np.ndarray) -> np.ndarray:
        """Compute the box of a body from its outline in base_link, cut at the near plane."""
        side = len(corners) // 2
        around = np.roll(np.arange(side), -1)
        starts = np.concatenate([corners, corners[:side]])
        ends = np.concatenate([corners[around], corners[side + around], corners[side:]])
        camera = self.rig.camera
        depth_a, depth_b = camera.project(starts)[1], camera.project(ends)[1]
        if max(depth_a.max(), depth_b.max()) <= NEAR_PLANE_M:
            return np.zeros(4)
        crossing = (depth_a > NEAR_PLANE_M) != (depth_b > NEAR_PLANE_M)
        part = (NEAR_PLANE_M - depth_a[crossing]) / (depth_b - depth_a)[crossing]
        cut = starts[crossing] + part[:, None] * (ends - starts)[crossing]
        pixels = camera.project(np.concatenate([starts[depth_a > NEAR_PLANE_M], cut]))[0]
        return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])

    def _in_sight(
        self,
        poses: list[tuple[Vehicle, np.ndarray, np.ndarray]],
        position: np.ndarray,
        rotation: np.ndarray,
    ) -> np.ndarray:
        """Return the (N,) fraction of each vehicle's footprint that no building hides."""
        every = stacked(self.buildings)
        if not len(every):
            return np.ones(len(poses))
        eye = position + rotation @ self.rig.camera.position_m
        spots = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), [-0.5, 0.0, 0.5]), -1)
        spots = spots.reshape(-1, 2)
        return np.array(
            [
                sight(
                    every, eye, (place + spots * [v.length_m, v.width_m] @ turn[:, :2].T)[:, :2]
                ).mean()
                for v, place, turn in poses
            ]
        )

    def _ways(self, place: np.ndarray, array: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return detour, lengths of the direct and the reflected paths, gains of the latter."""
        every = stacked(self.buildings)
        detour, ((apparent, _),) = screening(every, place[None], array[None])
        echoes = reflections(self.buildings, every, place[None], array[None])
        places = np.concatenate([apparent, *(image for image, _ in echoes)])
        gains = np.array([gain[0] for _, gain in echoes])
        return float(detour[0]), np.linalg.norm(places - array, axis=1), gains

    def _levels(
        self, vehicles: list[Vehicle], distance: np.ndarray, t: float, array: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the A-weighted level of each vehicle at the array, and of everything else."""
        loss = air_absorption_db_per_m(cnossos.BANDS_HZ, self.temperature_c, self.humidity_percent)

        def received_db(power_db: np.ndarray, distance_m: np.ndarray) -> np.ndarray:
            at = np.maximum(distance_m, 1.0)[:, None]
            return cnossos.a_weighted_db(cnossos.pressure_level_db(power_db, at) - loss * at)

        power = np.array([_power_db(v, t) for v in vehicles]).reshape(-1, 8)
        level = received_db(power, distance)
        for row in range(len(vehicles) if self.buildings else 0):
            # around the corner, and reflected by facades
            detour, ways_m, gains = self._ways(vehicles[row].pose(t)[0], array)
            lost = screen_loss_db(detour, cnossos.BANDS_HZ, self.speed_of_sound_mps)
            received = received_db(power[row] - lost, ways_m[:1])
            echoes = received_db(power[row] + 20 * np.log10(gains)[:, None], ways_m[1:])
            level[row] = cnossos.add_levels(*received, *echoes)
        speed = float(self.ego.speed_mps(t))
        ego_db = cnossos.pressure_level_db(_power_db(self.ego, t) - self.noise.insertion_db, 2.0)
        others = np.append(
            cnossos.a_weighted_db([ego_db, self.noise.bands_db(speed)]),
            received_db(
                np.array([d.bands_db(t) for d in self.distractors]).reshape(-1, 8),
                np.array([np.linalg.norm(d.place(t) - array) for d in self.distractors]),
            ),
        )
        energy = 10 ** (level / 10)
        rest = np.maximum(energy.sum() - energy, 0) + np.sum(10 ** (others / 10))
        return level, 10 * np.log10(rest)


def _power_db(vehicle: Vehicle, t: float) -> np.ndarray:
    speed = vehicle.speed_mps(t)
    return cnossos.add_levels(vehicle.sound.rolling_db(speed), vehicle.sound.propulsion_db(speed))


def _uncovered(boxes: np.ndarray) -> np.ndarray:
    """Return the fraction of each clipped box that no nearer one covers; boxes nearest first."""
    grid_x, grid_y = np.meshgrid((np.arange(24) + 0.5) / 24, (np.arange(12) + 0.5) / 12)
    free = np.ones(len(boxes))
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        x, y = x0 + grid_x * (x1 - x0), y0 + grid_y * (y1 - y0)
        covered = np.zeros(x.shape, bool)
        for a0, b0, a1, b1 in boxes[:row]:
            covered |= (x > a0) & (x < a1) & (y > b0) & (y < b1)
        free[row] = 1 - covered.mean()
    return free
