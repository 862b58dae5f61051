"""Sound of moving sources at fixed microphones matches closed forms."""

from __future__ import annotations

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.simulation.propagation import GRID_S, POWERS, TAPS, add_path, emission, sinc_filters

RATE = 44100
C = 343.2


def _line(start, velocity, first, count):
    times = (first + np.arange(count)) * GRID_S
    return np.asarray(start) + times[:, None] * np.asarray(velocity)


def _emission_closed_form(t, start, velocity, microphone):
    """Smaller root of |p + v te - m|^2 = c^2 (t - te)^2."""
    offset = np.asarray(start) - microphone
    a = np.dot(velocity, velocity) - C**2
    b = 2 * (np.dot(offset, velocity) + C**2 * t)
    c = np.dot(offset, offset) - C**2 * t**2
    return (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)


def _receive(signal, signal_first, start, velocity, microphones, seconds=1.0, surface='none'):
    first, count = -80, 80 + int(seconds / GRID_S) + 10
    microphones = np.atleast_2d(microphones)
    out = np.zeros((len(microphones), int(seconds * RATE)), np.float32)
    tracks = np.repeat(microphones[:, None, :], count, axis=1).astype(float)
    add_path(
        out,
        0,
        float(RATE),
        1.0,
        np.zeros(len(microphones)),
        signal,
        signal_first,
        _line(start, velocity, first, count),
        np.ones(count),
        tracks,
        np.zeros_like(tracks),
        0.0,
        first,
        GRID_S,
        C,
        sinc_filters(RATE, surface),
    )
    return out


@settings(max_examples=examples(40), deadline=None)
@given(
    st.floats(-60, 60), st.floats(2, 40), st.floats(-40, 40), st.floats(-5, 5), st.floats(0, 0.9)
)
def test_emission_time_matches_closed_form(x, y, vx, vy, t):
    start, velocity = np.array([x, y, 0.5]), np.array([vx, vy, 0.0])
    microphone = np.array([0.0, 0.0, 1.7])
    track = np.repeat(microphone[None], 200, axis=0)
    te, slope, distance, *_ = emission(_line(start, velocity, -80, 200), track, -80, GRID_S, t, C)
    expected = _emission_closed_form(t, start, velocity, microphone)
    assert te == pytest.approx(expected, abs=1e-9)
    step = 1e-4
    numeric = (
        _emission_closed_form(t + step, start, velocity, microphone)
        - _emission_closed_form(t - step, start, velocity, microphone)
    ) / (2 * step)
    assert slope == pytest.approx(numeric, rel=1e-6)
    assert distance == pytest.approx(C * (t - te), rel=1e-6)


def test_doppler_shift_matches_closed_form_within_10_ppm():
    frequency, start, velocity = 1000.0, (-15.0, 5.0, 0.3), (30.0, 0.0, 0.0)
    microphone = np.array([0.0, 0.0, 1.7])
    n = np.arange(-RATE // 2, RATE + 200)
    tone = np.sin(2 * np.pi * frequency * n / RATE).astype(np.float32)
    received = _receive(tone, int(n[0]), start, velocity, microphone)[0].astype(float)
    t = np.arange(len(received)) / RATE
    te = _emission_closed_form(t, start, velocity, microphone)
    # demodulated with the closed form's phase, only a slow phase error remains, whose slope is the
    # frequency error
    window = np.hanning(2205)
    turned = np.convolve(received * np.exp(-2j * np.pi * frequency * te), window, 'valid')
    error = np.gradient(np.unwrap(np.angle(turned))) * RATE / (2 * np.pi * frequency)
    swing = frequency * np.ptp(np.gradient(te, t))
    assert swing > 120  # the pitch does fall
    assert np.abs(error[100:-100]).max() < 10e-6


def test_static_delay_between_microphones_is_within_hundredth_sample():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, 2 * RATE).astype(np.float32)
    microphones = np.array([[0.25, 0.0, 1.7], [-0.25, 0.0, 1.7], [0.0, 0.25, 1.7]])
    source = np.array([12.0, 7.0, 0.01])
    received = _receive(noise, -RATE // 2, source, (0, 0, 0), microphones)
    distance = np.linalg.norm(source - microphones, axis=1)
    spectrum = np.fft.rfft(received * np.hanning(received.shape[1]))
    frequency = np.fft.rfftfreq(received.shape[1], 1 / RATE)
    for other in (1, 2):
        expected = (distance[other] - distance[0]) / C * RATE
        cross = spectrum[0] * spectrum[other].conj()
        # remove the expected delay, then fit the remaining phase slope up to 12 kHz
        cross *= np.exp(-2j * np.pi * frequency * expected / RATE)
        keep = (frequency > 100) & (frequency < 12000)
        weight = np.abs(cross[keep])
        omega = 2 * np.pi * frequency[keep] / RATE
        left = np.sum(weight * omega * np.angle(cross[keep])) / np.sum(weight * omega**2)
        assert abs(left) < 0.01


def test_amplitude_halves_with_double_distance():
    tone = np.sin(2 * np.pi * 800 * np.arange(2 * RATE) / RATE).astype(np.float32)
    levels = [
        _receive(tone, -RATE // 2, (distance, 0.0, 1.7), (0, 0, 0), (0.0, 0.0, 1.7))[0].std()
        for distance in (5.0, 10.0, 20.0, 40.0)
    ]
    np.testing.assert_allclose(np.divide(levels[:-1], levels[1:]), 2.0, rtol=1e-3)


@pytest.mark.parametrize('surface', ['none', 'asphalt'])
def test_interpolation_filters_have_expected_gain(surface):
    filters = sinc_filters(RATE, surface).astype(float)
    taps = np.arange(TAPS) - (TAPS // 2 - 1)
    expected = {'none': {1000: 1.0, 8000: 1.0}, 'asphalt': {1000: 0.90, 4000: 0.82, 8000: 0.70}}
    for frequency, gain in expected[surface].items():
        for place in (0.0, 0.2, 0.5, 0.99):
            wave = np.exp(2j * np.pi * frequency / RATE * (taps - place))
            read = (place - 0.5) ** np.arange(POWERS) @ filters @ wave
            accuracy = 1e-4 if surface == 'none' else 0.02
            assert read == pytest.approx(gain, abs=accuracy)


def test_road_echo_interferes_with_direct_sound():
    """The direct and the mirrored path of a tone cancel if they differ by half a wavelength."""
    height, receiver_m, distance = 0.75, 1.7, 8.0
    direct = np.hypot(distance, receiver_m - height)
    mirrored = np.hypot(distance, receiver_m + height)
    frequency = C / (2 * (mirrored - direct))
    tone = np.sin(2 * np.pi * frequency * np.arange(2 * RATE) / RATE).astype(np.float32)
    one = _receive(tone, -RATE // 2, (distance, 0, height), (0, 0, 0), (0, 0, receiver_m))
    two = one + _receive(
        tone, -RATE // 2, (distance, 0, -height), (0, 0, 0), (0, 0, receiver_m), 1.0, 'asphalt'
    )
    assert two.std() < 0.25 * one.std()


@pytest.mark.parametrize('shading_db', [2.0, 8.0])
def test_shading_is_level_difference_between_near_and_far_side(shading_db):
    signal = np.sin(2 * np.pi * 500 * np.arange(-RATE // 2, RATE) / RATE).astype(np.float32)
    count = 200
    microphones = np.zeros((3, count, 3))
    outward = np.zeros((3, count, 3))
    outward[0, :, 0], outward[1, :, 1], outward[2, :, 0] = 1, 1, -1  # towards, across, away
    out = np.zeros((3, RATE // 4), np.float32)
    source = _line((20.0, 0.0, 0.0), (0.0, 0.0, 0.0), -80, count)
    add_path(
        out,
        0,
        float(RATE),
        1.0,
        np.zeros(3),
        signal,
        -RATE // 2,
        source,
        np.ones(count),
        microphones,
        outward,
        shading_db,
        -80,
        GRID_S,
        C,
        sinc_filters(RATE, 'none'),
    )
    level_db = 20 * np.log10(out[:, RATE // 8 :].std(axis=1))
    assert level_db[0] - level_db[2] == pytest.approx(shading_db, abs=0.1)
    assert level_db[0] - level_db[1] == pytest.approx(shading_db / 2, abs=0.1)
