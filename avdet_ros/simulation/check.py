"""Check the renderer against physics: measured values next to theory or a standard, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import time

import numpy as np

from avdet_ros.audio.geometry import speed_of_sound_mps
from avdet_ros.rig import Rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.corruption import Corruption
from avdet_ros.simulation.motion import Motion
from avdet_ros.simulation.propagation import GRID_S, add_path, sinc_filters
from avdet_ros.simulation.road import straight_road
from avdet_ros.simulation.scene import Noise, Scene
from avdet_ros.simulation.signals import BLOCK, FULL_SCALE_PA, Signal
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.vehicles import SoundProfile, Vehicle

C_MPS = speed_of_sound_mps(20.0)
QUIET = Noise(wind_db=-80, breeze_mps=0, self_db=-60, ambient_db=-60)
SRP_SEEDS = range(200_500, 200_600)


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        quantity: name of the quantity.
        unit: its unit.
        measured: value measured in the rendered sound.
        expected: value according to theory or a standard.
        tolerance: largest difference allowed; where `expected` is 0, the upper bound.
        source: origin of the expected value.
    """

    quantity: str
    unit: str
    measured: float
    expected: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        """Whether measured and expected agree."""
        return abs(self.measured - self.expected) <= self.tolerance


def check(rig: Rig) -> Iterator[Finding]:
    """Measure all quantities, one after another."""
    yield Finding(
        'Doppler, 30 m/s past at 5 m, worst error', 'ppm', _doppler(), 0, 10, 'closed form'
    )
    yield Finding(
        'delay between standing microphones, error', 'sample', _delay(rig), 0, 0.01, 'closed form'
    )
    yield Finding('level at double distance', 'dB', _spreading(), -6.0206, 0.01, '1/r')
    for frequency in (1000, 4000, 8000, 12000):
        expected = 100 * float(air_absorption_db_per_m(frequency, 10, 70))
        yield Finding(
            f'air, 100 m at {frequency} Hz, 10 C, 70 %',
            'dB',
            _absorption(frequency),
            expected,
            0.1 + 0.03 * expected,
            'ISO 9613-1',
        )
    for kmh in (30, 50, 80):
        speed = kmh / 3.6
        scene = _scene(rig, (0.0, 7.5, speed))
        power_db_a = scene.vehicles[0].sound.power_db_a(speed)
        expected = float(cnossos.pressure_level_db(power_db_a, 7.5))
        yield Finding(
            f'car at {kmh} km/h passing at 7.5 m',
            'dB(A)',
            _pass_by(scene),
            expected,
            1.0,
            'CNOSSOS-EU 2021',
        )
    wind = _scene(rig, ego_speed=20.0, noise=Noise(wind_db=70))
    yield Finding(
        'coherence of wind between microphones', '', _coherence(wind), 0, 0.05, 'incoherent'
    )
    engine = _scene(rig, ego_runs=True)
    yield Finding('coherence of the ego engine', '', _coherence(engine), 1, 0.05, 'one source')
    points = np.array([[10.3, 0, 1.55], [10.3, 1, 1.55], [10.3, 0, 0.55], [20.3, -2, 2.55]])
    by_hand = [[960, 300], [860, 300], [960, 400], [1060, 250]]
    if rig.camera.position_m.tolist() == [0.3, 0.0, 1.55]:
        error = float(np.abs(rig.camera.project(points)[0] - by_hand).max())
        yield Finding('projection of known points, worst error', 'px', error, 0, 0.01, 'by hand')
    yield Finding(
        'SRP-PHAT on a single vehicle, median error',
        'degrees',
        _srp_phat(rig),
        0,
        1.5,
        'geometry at emission',
    )


def render_factor(rig: Rig, seconds: float = 5.0) -> float:
    """Measure seconds of sound rendered per second of processor time.

    The scene has three near vehicles, rendered by one thread. Processor time depends little on
    other load on the machine.
    """
    scene = _scene(rig, (10.0, 3.0, 12.0), (25.0, -3.0, 10.0), (-20.0, 3.0, 14.0))
    SoundRenderer(scene).read(0, 10)
    renderer = SoundRenderer(scene)
    start = time.process_time()
    renderer.read(0, round(seconds * rig.sample_rate_hz))
    return seconds / (time.process_time() - start)


def _scene(
    rig: Rig,
    *cars: tuple[float, float, float],
    ego_speed: float = 0.0,
    ego_runs: bool = False,
    noise: Noise = QUIET,
) -> Scene:
    """Build a straight road; cars are x, y and speed at t = 2 s, when the ego vehicle is at 0."""
    road = straight_road()

    def sound_profile(speed: float, running: bool = True) -> SoundProfile:
        return SoundProfile('light', cycles_per_m=15 / max(abs(speed), 1.0), running=running)

    ego_motion = Motion(-2 * ego_speed, ego_speed)
    ego = Vehicle(0, 'car', 4.2, 1.8, 1.5, road, ego_motion, sound_profile(ego_speed, ego_runs))
    vehicles = tuple(
        Vehicle(
            number, 'car', 4.2, 1.8, 1.5, road, Motion(x - 2 * v, v, aside_m=y), sound_profile(v)
        )
        for number, (x, y, v) in enumerate(cars, 1)
    )
    return Scene(1, 8.0, rig, 'city', ego, vehicles, noise=noise)


def _receive(
    signal: np.ndarray,
    rate: int,
    track: Callable[[np.ndarray], np.ndarray],
    microphones: np.ndarray,
) -> np.ndarray:
    """Receive one second of a signal that begins at -0.5 s, emitted by a moving point."""
    first, count = -45, 160
    times = (first + np.arange(count)) * GRID_S
    out = np.zeros((len(microphones), rate), np.float32)
    receivers = np.repeat(np.asarray(microphones, float)[:, None, :], count, axis=1)
    add_path(
        out,
        0,
        float(rate),
        1.0,
        np.zeros(len(out)),
        signal.astype(np.float32),
        -rate // 2,
        np.ascontiguousarray(track(times)),
        np.ones(count),
        receivers,
        np.zeros_like(receivers),
        0.0,
        first,
        GRID_S,
        C_MPS,
        sinc_filters(rate),
    )
    return out.astype(np.float64)


def _doppler(rate: int = 44100, frequency: float = 1000.0) -> float:
    speed, nearest, receiver_m = 30.0, 5.0, 1.4
    tone = np.sin(2 * np.pi * frequency * (np.arange(2 * rate) - rate // 2) / rate)
    received = _receive(
        tone,
        rate,
        lambda t: np.stack([speed * t - 15, np.full_like(t, nearest), np.zeros_like(t)], -1),
        np.array([[0, 0, receiver_m]]),
    )[0]
    t = np.arange(rate) / rate
    # |p(te)| = c (t - te) squared is quadratic in te
    a, b = speed**2 - C_MPS**2, 2 * (C_MPS**2 * t - 15 * speed)
    c = 15**2 + nearest**2 + receiver_m**2 - (C_MPS * t) ** 2
    emitted = (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)
    turned = received * np.exp(-2j * np.pi * frequency * emitted)
    phase = np.unwrap(np.angle(np.convolve(turned, np.hanning(2205), 'valid')))
    error = np.gradient(phase) * rate / (2 * np.pi * frequency)
    return float(np.abs(error[100:-100]).max() * 1e6)


def _delay(rig: Rig, rate: int = 44100) -> float:
    noise = np.random.default_rng(1).normal(0, 0.1, 2 * rate)
    source = np.array([12.0, 7.0, 0.01])
    places = rig.microphones_m
    received = _receive(noise, rate, lambda t: np.repeat(source[None], len(t), axis=0), places)
    spectrum = np.fft.rfft(received * np.hanning(rate))
    frequency = np.fft.rfftfreq(rate, 1 / rate)
    keep = (frequency > 100) & (frequency < 12000)
    omega = 2 * np.pi * frequency[keep] / rate
    way = np.linalg.norm(source - places, axis=1) / C_MPS * rate
    errors = []
    for other in range(1, len(places)):
        cross = (spectrum[0] * spectrum[other].conj())[keep]
        cross *= np.exp(-1j * omega * (way[other] - way[0]))
        weight = np.abs(cross) * omega
        errors.append(np.sum(weight * np.angle(cross)) / np.sum(weight * omega))
    return float(np.abs(errors).max())


def _spreading(rate: int = 44100) -> float:
    tone = np.sin(2 * np.pi * 800 * np.arange(2 * rate) / rate)

    def level(distance_m: float) -> float:
        def place(t_s: np.ndarray) -> np.ndarray:
            return np.tile([distance_m, 0, 0], (len(t_s), 1))

        return float(_receive(tone, rate, place, np.zeros((1, 3))).std())

    near, far = level(10.0), level(20.0)
    return float(20 * np.log10(far / near))


def _absorption(frequency: float, rate: int = 44100) -> float:
    flat = np.full(8, 60.0)
    loss = 100 * air_absorption_db_per_m(np.arange(BLOCK // 2 + 1) * rate / BLOCK, 10, 70)
    dry, damp = (
        Signal((1, 2), rate, lambda t: flat, air).read(0, 2 * rate).astype(np.float64)
        for air in (None, lambda t: loss.astype(np.float32))
    )
    near = np.abs(np.fft.rfftfreq(2 * rate, 1 / rate) - frequency) < 100
    power = [np.sum(np.abs(np.fft.rfft(x))[near] ** 2) for x in (dry, damp)]
    return float(10 * np.log10(power[0] / power[1]))


def _pass_by(scene: Scene) -> float:
    """Return the maximum A-weighted level over an eighth of a second, mean of the microphones."""
    rate, length = scene.rig.sample_rate_hz, 4096
    sound = SoundRenderer(scene).read(round(1.5 * rate), rate)
    f = np.fft.rfftfreq(length, 1 / rate)
    weight = 1.2589 * 12194**2 * f**4 / ((f**2 + 20.6**2) * (f**2 + 12194**2))
    weight /= np.sqrt((f**2 + 107.7**2) * (f**2 + 737.9**2))
    window = np.hanning(length)
    pieces = np.lib.stride_tricks.sliding_window_view(sound, length, axis=-1)[:, ::1024]
    power = 2 * np.sum(np.abs(np.fft.rfft(pieces * window) * weight) ** 2, axis=-1)
    power = np.mean(power, axis=0) / length / np.sum(window**2)
    power = np.convolve(power, np.ones(5) / 5, 'valid').max()
    return float(10 * np.log10(power * (FULL_SCALE_PA / 20e-6) ** 2))


def _coherence(scene: Scene, low_hz: float = 100.0, high_hz: float = 1000.0) -> float:
    """Return the magnitude-squared coherence of two opposite microphones, averaged over a band."""
    rate = scene.rig.sample_rate_hz
    sound = SoundRenderer(scene).read(0, 4 * rate)[[0, 4]]
    pieces = np.lib.stride_tricks.sliding_window_view(sound, 2048, axis=-1)[:, ::1024]
    a, b = np.fft.rfft(pieces * np.hanning(2048))
    cross = np.abs(np.mean(a * b.conj(), axis=0)) ** 2
    cross /= np.mean(np.abs(a) ** 2, axis=0) * np.mean(np.abs(b) ** 2, axis=0)
    f = np.fft.rfftfreq(2048, 1 / rate)
    return float(np.mean(cross[(f > low_hz) & (f < high_hz)]))


def _srp_phat(rig: Rig) -> float:
    """Median error of pyroomacoustics' SRP-PHAT against the direction at emission."""
    import pyroomacoustics as pra

    rate, at = rig.sample_rate_hz, 2.5
    errors = []
    for seed in SRP_SEEDS:
        scene = random_scene(seed, rig, 6.0)
        labels = scene.labels(at)
        if not len(labels):
            continue
        vehicle = next(v for v in scene.vehicles if v.vehicle_id == labels.ids[0])
        silent = replace(scene.ego, sound=replace(scene.ego.sound, running=False))
        noise = replace(scene.noise, wind_db=20.0, breeze_mps=0.0)
        scene = replace(
            scene, vehicles=(vehicle,), ego=silent, noise=noise, corruption=Corruption()
        )
        sound = SoundRenderer(scene).read(round((at - 0.1) * rate), round(0.2 * rate))
        position, rotation = scene.ego_pose(at)
        array, emitted = position + rotation @ rig.array_position_m, at
        for _ in range(5):
            way = np.linalg.norm(vehicle.pose(emitted)[0] - array)
            emitted = float(at - way / scene.speed_of_sound_mps)
        direction = (vehicle.pose(emitted)[0] - array) @ rotation
        true = np.rad2deg(np.arctan2(direction[1], direction[0]))
        spectrum = pra.transform.stft.analysis(sound.T.astype(float), 1024, 512)
        finder = pra.doa.SRP(
            rig.microphones_m[:, :2].T,
            rate,
            1024,
            c=scene.speed_of_sound_mps,
            azimuth=np.deg2rad(np.arange(-180, 180, 0.5)),
        )
        finder.locate_sources(spectrum.transpose(2, 1, 0), freq_range=[300, 4000])
        errors.append(abs((np.rad2deg(finder.azimuth_recon[0]) - true + 180) % 360 - 180))
    return float(np.median(errors))
