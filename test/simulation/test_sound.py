"""Sound at the microphones matches physics and does not depend on how it is split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyroomacoustics as pra
import pytest

from avdet_ros.rig import load_rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.corruption import Corruption
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.scene import Noise
from avdet_ros.simulation.signals import BLOCK, FULL_SCALE_PA, Signal, band_density_db
from avdet_ros.simulation.sound import SoundRenderer, render_sound
from avdet_ros.simulation.traffic import random_scene

RATE = 44100


def _a_weighted_levels(sound, length=4096, hop=1024):
    """dB(A) of each piece of each channel, with analytic A-weighting (IEC 61672-1)."""
    f = np.fft.rfftfreq(length, 1 / RATE)
    weight = 1.2589 * 12194**2 * f**4
    weight /= (f**2 + 20.6**2) * (f**2 + 12194**2)
    weight /= np.sqrt((f**2 + 107.7**2) * (f**2 + 737.9**2))
    window = np.hanning(length)
    pieces = np.lib.stride_tricks.sliding_window_view(sound, length, axis=-1)[:, ::hop]
    spectrum = np.fft.rfft(pieces * window) * weight
    power = 2 * np.sum(np.abs(spectrum) ** 2, axis=-1) / length / np.sum(window**2)
    return 10 * np.log10(power * (FULL_SCALE_PA / 20e-6) ** 2)


def _coherence(a, b, low_hz, high_hz, length=2048):
    """Magnitude-squared coherence, mean over a band."""
    window = np.hanning(length)

    def pieces(x):
        return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(x, length)[::1024] * window)

    x, y = pieces(a), pieces(b)
    cross = np.abs(np.mean(x * y.conj(), axis=0)) ** 2
    power = np.mean(np.abs(x) ** 2, axis=0) * np.mean(np.abs(y) ** 2, axis=0)
    f = np.fft.rfftfreq(length, 1 / RATE)
    return float(np.mean((cross / power)[(f > low_hz) & (f < high_hz)]))


@pytest.mark.parametrize('kmh', [30, 50, 80])
def test_pass_by_level_at_7_5_m_matches_cnossos(world, kmh):
    """The 2021 coefficients give 67.0, 73.0 and 79.4 dB(A), which the sound must match."""
    speed = kmh / 3.6
    scene = world((0.0, 7.5, speed))
    levels = _a_weighted_levels(render_sound(scene, 1.5, 1.0))
    # mean energy of all microphones over an eighth of a second, the "fast" setting of meters
    energy = np.convolve(np.mean(10 ** (levels / 10), axis=0), np.ones(5) / 5, 'same')
    power = scene.vehicles[0].sound.power_db_a(speed)
    expected = cnossos.pressure_level_db(power, 7.5)
    assert 10 * np.log10(energy.max()) == pytest.approx(expected, abs=1.0)
    assert scene.truth(2.0).level_db[0] == pytest.approx(expected, abs=0.4)


def test_signal_has_requested_octave_levels():
    bands = cnossos.rolling_db('light', 14.0)
    noise = Signal((1, 2), RATE, lambda t: bands, pressure=True).read(0, 20 * RATE)
    spectrum = np.abs(np.fft.rfft(noise.astype(float))) ** 2 * 2 / len(noise) ** 2
    f = np.fft.rfftfreq(len(noise), 1 / RATE)
    for band, centre in enumerate(cnossos.BANDS_HZ):
        inside = (f >= centre / np.sqrt(2)) & (f < centre * np.sqrt(2))
        level = 10 * np.log10(spectrum[inside].sum() * (FULL_SCALE_PA / 20e-6) ** 2)
        assert level == pytest.approx(bands[band], abs=0.35)


def test_silent_bands_stay_silent():
    assert np.all(band_density_db(np.full(8, -np.inf), RATE) < -150)


@pytest.mark.parametrize('frequency', [1000, 4000, 8000, 12000])
def test_signal_loses_air_absorption_of_standard(frequency):
    """Compares the same noise with and without 100 m of air with ISO 9613-1."""
    flat = np.full(8, 60.0)
    loss = air_absorption_db_per_m(np.arange(BLOCK // 2 + 1) * RATE / BLOCK, 10, 70)
    dry = Signal((1, 2), RATE, lambda t: flat).read(0, 2 * RATE)
    air = Signal((1, 2), RATE, lambda t: flat, lambda t: (100 * loss).astype(np.float32))
    damped = air.read(0, 2 * RATE)
    f = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    near = np.abs(f - frequency) < 100
    power = [np.sum(np.abs(np.fft.rfft(x))[near] ** 2) for x in (dry, damped)]
    expected = 100 * air_absorption_db_per_m(frequency, 10, 70)
    assert 10 * np.log10(power[0] / power[1]) == pytest.approx(expected, rel=0.03, abs=0.1)


@pytest.mark.slow
def test_same_seed_gives_identical_sound_in_any_pieces():
    scene = random_scene(11, duration_s=4.0)
    whole = SoundRenderer(scene).read(0, 2 * RATE)
    assert whole.dtype == np.float32
    assert np.abs(whole).max() > 1e-4
    again = SoundRenderer(random_scene(11, duration_s=4.0)).read(0, 2 * RATE)
    assert whole.tobytes() == again.tobytes()
    renderer = SoundRenderer(scene)
    pieces = [renderer.read(first, 4410) for first in range(0, 2 * RATE, 4410)]
    assert np.concatenate(pieces, axis=1).tobytes() == whole.tobytes()
    alone = SoundRenderer(scene).read(50001, 10000)
    assert alone.tobytes() == np.ascontiguousarray(whole[:, 50001:60001]).tobytes()
    other = SoundRenderer(random_scene(12, duration_s=4.0)).read(0, 100)
    assert not np.array_equal(other, whole[:, :100])


def test_clean_and_corrupted_scenes_share_one_world():
    clean, corrupted = random_scene(11, corrupted=False), random_scene(11)
    np.testing.assert_array_equal(clean.labels(3).ids, corrupted.labels(3).ids)
    np.testing.assert_array_equal(clean.labels(3).boxes_px, corrupted.labels(3).boxes_px)
    assert not np.any(clean.corruption.gain_db)
    assert np.any(corrupted.corruption.gain_db)


def test_wind_is_incoherent_and_rises_with_speed(world):
    noise = Noise(wind_db=60, breeze_mps=0, self_db=10, ambient_db=0)
    slow, fast = (render_sound(world(ego_speed=v, noise=noise), 0, 3) for v in (10.0, 20.0))
    assert _coherence(fast[0], fast[4], 20, 500) < 0.05
    rise = 20 * np.log10(fast.std() / slow.std())
    assert rise == pytest.approx(60 * np.log10(2), abs=1.5)
    low, high = (_band_power(fast[0], *band) for band in ((20, 200), (2000, 2180)))
    assert low > 100 * high


def _eigenvalue_shares(sound, low_hz=100, high_hz=2000, length=2048):
    """Shares of the spectral matrix's eigenvalues, greatest first, mean over a band."""
    pieces = np.lib.stride_tricks.sliding_window_view(sound, length, axis=-1)[:, ::1024]
    x = np.fft.rfft(pieces * np.hanning(length))
    f = np.fft.rfftfreq(length, 1 / RATE)
    x = x[..., (f > low_hz) & (f < high_hz)]
    values = np.linalg.eigvalsh(np.einsum('atf,btf->fab', x, x.conj()))[:, ::-1]
    return np.mean(values / values.sum(axis=1, keepdims=True), axis=0)


def test_ego_engine_and_tyres_are_coherent(world):
    """Two axles and an engine: three eigenvalues hold nearly all energy; wind needs all eight."""
    own = _eigenvalue_shares(render_sound(world(ego_speed=20.0, ego_runs=True), 0, 3))
    assert own[:3].sum() > 0.98
    engine = world(ego_runs=True)
    sound = render_sound(engine, 0, 3)
    assert _coherence(sound[0], sound[4], 100, 2000) > 0.9
    assert _eigenvalue_shares(sound)[0] > 0.98
    wind = _eigenvalue_shares(render_sound(world(ego_speed=20.0, noise=Noise(wind_db=70)), 0, 3))
    assert wind[:3].sum() < 0.65


def test_engine_pitch_follows_speed(world):
    """The firing frequency of a four-cylinder engine is the fourth harmonic of its cycle."""
    scene = world((-12.0, 4.0, 12.0), (-40.0, 300.0, 12.0))
    sound = render_sound(scene, 0.5, 1.0)[0]
    sound_profile = scene.vehicles[0].sound
    firing = 4 * sound_profile.cycles_per_m * 12.0
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    tuned = [spectrum[round(k * firing) - 4 : round(k * firing) + 8].max() for k in (1, 2)]
    between = np.median(spectrum[round(firing * 0.6) : round(firing * 2)])
    assert min(tuned) > 5 * between


def test_gain_dead_swap_gap_and_clip_errors_are_applied(world):
    base = world((12.0, 4.0, 10.0))
    clean = render_sound(base, 2, 0.5)
    gain = np.zeros(8)
    gain[2] = 6.0
    order = np.arange(8)
    order[[0, 1]] = 1, 0
    dead = np.zeros(8, bool)
    dead[5] = True
    changed = replace(
        base,
        corruption=Corruption(
            gain_db=gain,
            dead=dead,
            order=order,
            gaps_s=np.array([[2.1, 0.05]]),
            clip_level=float(np.abs(clean).max() / 3),
        ),
    )
    sound = render_sound(changed, 2, 0.5)
    limit = np.float32(changed.corruption.clip_level)
    assert np.abs(sound).max() == limit
    gap = slice(round(0.1 * RATE), round(0.15 * RATE))
    assert not sound[:, gap].any()
    free = np.abs(clean).max(axis=0) < limit / 2.1
    free[gap] = False
    assert free.sum() > 1000
    np.testing.assert_allclose(sound[2, free], clean[2, free] * 10**0.3, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(sound[0, free], clean[1, free])
    assert sound[5].std() < 1e-3 * clean[5].std()


def test_channel_delay_shifts_samples(world):
    base = world((12.0, 4.0, 0.0))
    delay = np.zeros(8)
    delay[3] = 3.0
    late = replace(base, corruption=Corruption(delay_samples=-delay))
    a, b = render_sound(base, 2, 0.5)[3], render_sound(late, 2, 0.5)[3]
    np.testing.assert_allclose(a[1000:2000], b[1003:2003], atol=3e-3 * a.std())


def test_body_shading_attenuates_far_side(world):
    base = world((0.0, 8.0, 0.0))
    shaded = replace(base, corruption=Corruption(shading_db=8.0))
    ratio = render_sound(shaded, 2, 0.5).std(axis=1) / render_sound(base, 2, 0.5).std(axis=1)
    loss = -20 * np.log10(ratio)
    assert loss[2] < 0.5  # left, towards the vehicle
    assert loss[6] > 7


def test_parked_vehicle_is_silent(world):
    scene = world((12.0, 4.0, 0.0))
    vehicle = scene.vehicles[0]
    parked = replace(vehicle, sound=replace(vehicle.sound, running=False))
    assert np.abs(render_sound(replace(scene, vehicles=(parked,)), 2, 0.25)).max() < 1e-7


@pytest.mark.slow
def test_srp_phat_finds_a_single_vehicle():
    """Uses SRP-PHAT of pyroomacoustics; the true direction is that at the time of emission."""
    errors = []
    for seed in range(500, 550):
        scene = random_scene(seed, duration_s=6.0, corrupted=False)
        labels = scene.labels(2.5)
        if not len(labels):
            continue
        vehicle = next(v for v in scene.vehicles if v.vehicle_id == labels.ids[0])
        silent = replace(scene.ego, sound=replace(scene.ego.sound, running=False))
        noise = replace(scene.noise, wind_db=20.0, breeze_mps=0.0)
        scene = replace(scene, vehicles=(vehicle,), ego=silent, noise=noise)
        sound = render_sound(scene, 2.4, 0.2)
        position, rotation = scene.ego_pose(2.5)
        array = position + rotation @ scene.rig.array_position_m
        te = 2.5
        for _ in range(5):
            te = 2.5 - np.linalg.norm(vehicle.pose(te)[0] - array) / scene.speed_of_sound_mps
        direction = (vehicle.pose(te)[0] - array) @ rotation
        true = np.rad2deg(np.arctan2(direction[1], direction[0]))
        spectrum = pra.transform.stft.analysis(sound.T.astype(float), 1024, 512)
        finder = pra.doa.SRP(
            scene.rig.microphones_m[:, :2].T,
            RATE,
            1024,
            c=scene.speed_of_sound_mps,
            azimuth=np.deg2rad(np.arange(-180, 180, 0.5)),
        )
        finder.locate_sources(spectrum.transpose(2, 1, 0), freq_range=[300, 4000])
        found = np.rad2deg(finder.azimuth_recon[0])
        errors.append(abs((found - true + 180) % 360 - 180))
    assert len(errors) >= 20
    assert np.median(errors) <= 1.5


def _band_power(x, low_hz, high_hz):
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    return np.sum(np.abs(np.fft.rfft(x))[(f > low_hz) & (f < high_hz)] ** 2)


@pytest.mark.parametrize('rate', [16000, 48000, 96000])
def test_loss_of_engine_tones_is_equal_at_every_sample_rate(rate):
    vehicle = random_scene(7, load_rig(), 3.0).vehicles[0]

    def table(at_hz, lost):
        frequency = np.arange(BLOCK // 2 + 1) * at_hz / BLOCK
        return Engine(vehicle, 7, at_hz).table(0.5, lost * frequency / 1000)

    quieter = [np.std(table(at_hz, 40.0)) / np.std(table(at_hz, 0.0)) for at_hz in (RATE, rate)]
    assert 0 < quieter[0] < 0.999
    assert quieter[1] == pytest.approx(quieter[0], rel=0.02)
