"""Wave fronts are recovered from matrices and sound composed of known ones."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.wave_fronts import (
    BLOCK,
    LEAST_BLOCK,
    WaveFrontFinder,
    block_fronts,
    strongest_fronts,
)

RATE_HZ = 11025


def phases(seed=0, size=8):
    return np.exp(2j * np.pi * np.random.default_rng(seed).uniform(size=size))


def test_strongest_front_ignores_the_diagonal():
    """A wave with uneven strengths, noise on the diagonal and a weak second wave."""
    wave = phases(0) * np.linspace(0.5, 0.9, 8)
    second = 0.15 * phases(1)
    matrix = np.outer(wave, wave.conj()) + np.outer(second, second.conj())
    matrix[np.diag_indices(8)] = 50.0
    (vector,), (weight,) = strongest_fronts(matrix[None])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    unit = wave / np.linalg.norm(wave)
    assert np.abs(np.vdot(unit, vector)) == pytest.approx(1, abs=0.01)
    # The weight is the squared power of the wave, reduced by the second wave.
    assert weight == pytest.approx(0.7 * (np.abs(wave) ** 2).sum() ** 2, rel=0.1)


def test_two_equal_waves_weigh_little_and_silence_weighs_nothing():
    one, two = phases(0), phases(1)
    matrix = 0.5 * np.outer(one, one.conj()) + 0.5 * np.outer(two, two.conj())
    _, (both,) = strongest_fronts(matrix[None])
    _, (alone,) = strongest_fronts(np.outer(one, one.conj())[None])
    assert both < 0.2 * alone
    vectors, weights = strongest_fronts(np.zeros((2, 8, 8), complex))
    assert np.isfinite(vectors).all()
    assert weights.tolist() == [0, 0]
    assert (vectors.dtype, weights.dtype) == (np.complex64, np.float32)


def test_steady_wave_is_removed_and_levels_are_of_the_passing_wave():
    """A loud steady wave, and another one in a quarter of the segments."""
    rng = np.random.default_rng(3)
    steady, passing = phases(0) * 2.0, phases(1) * 10 ** (np.linspace(-3, 4, 8) / 20)
    matrices = np.zeros((80, 3, 8, 8), complex)
    matrices += np.outer(steady, steady.conj()) + 0.5 * np.eye(8)
    matrices *= rng.uniform(0.98, 1.02, (80, 1, 1, 1))
    matrices[60:] += 9.0 * np.outer(passing, passing.conj())
    found = block_fronts(matrices.astype(np.complex64), np.array([500.0, 900.0, 1500.0]))
    assert found.weights[60:].min() > 10 * found.weights[:60].max()
    unit = passing / np.abs(passing)
    seen = found.vectors[70, 1] / np.abs(found.vectors[70, 1])
    assert np.abs(np.vdot(unit, seen)) / 8 > 0.99
    expected = np.linspace(-3, 4, 8) - 0.5
    assert found.level_db[60:].mean(axis=0) == pytest.approx(expected, abs=0.6)
    power = 10 * np.log10(matrices[70, 0].diagonal().real)
    assert found.power_db[70] == pytest.approx(power, abs=0.01)
    # Levels come only from bands at 800 Hz and above.
    low = block_fronts(matrices.astype(np.complex64), np.array([500.0, 600.0, 700.0]))
    assert not low.level_db.any()


def test_fronts_do_not_depend_on_loudness_or_gaps():
    steady, passing = phases(0) * 2.0, phases(1)
    matrices = np.zeros((40, 2, 8, 8), complex)
    matrices += np.outer(steady, steady.conj()) + 0.5 * np.eye(8)
    matrices *= np.linspace(0.98, 1.02, 40)[:, None, None, None]
    matrices[30:] += 9.0 * np.outer(passing, passing.conj())
    matrices[:3] = 0
    hz = np.array([900.0, 1500.0])
    loud = block_fronts(matrices.astype(np.complex64), hz)
    quiet = block_fronts((1e-7 * matrices).astype(np.complex64), hz)
    assert quiet.weights == pytest.approx(loud.weights, rel=1e-3, abs=1e-3)
    assert quiet.power_db[3:] == pytest.approx(loud.power_db[3:] - 70, abs=0.01)
    assert quiet.level_db[30:] == pytest.approx(loud.level_db[30:], abs=0.01)
    assert not quiet.weights[:3].any()
    assert quiet.weights[30:].min() > 10 * quiet.weights[:30].max()


@pytest.fixture(scope='module')
def finder():
    return WaveFrontFinder(RATE_HZ)


def test_frequencies_and_times_are_centres_of_bands_and_segments(finder):
    """Frames of 1024 samples, bands of four bins with as many between them."""
    step_hz = RATE_HZ / 1024
    assert finder.frequencies_hz[0] == pytest.approx((24 + 1.5) * step_hz)
    assert np.diff(finder.frequencies_hz) == pytest.approx(8 * step_hz)
    assert finder.frequencies_hz[-1] + 2.5 * step_hz < 0.4 * RATE_HZ
    finder.restart()
    sound = np.random.default_rng(0).normal(0, 0.1, (2048 * LEAST_BLOCK + 512, 8))
    finder.add(sound.astype(np.float32)[:30_000])
    finder.add(sound.astype(np.float32)[30_000:])
    found = finder.fronts()
    # A segment begins every 2048 samples and is 2560 long.
    expected = (np.arange(LEAST_BLOCK) * 2048 + 1280) / RATE_HZ
    assert found.time_s == pytest.approx(expected)
    assert found.seconds == pytest.approx(len(sound) / RATE_HZ)
    assert finder.segments == LEAST_BLOCK
    assert found.vectors.shape == (LEAST_BLOCK, len(finder.frequencies_hz), 8)
    # White noise with an RMS of 0.1: the taper's power is three eighths of 1024 samples.
    assert found.power_db.mean() == pytest.approx(10 * np.log10(0.01 * 384), abs=0.2)


def test_wave_front_phases_match_the_microphone_delays(finder):
    """Steady noise and, in the last third, a wave that is i samples late on channel i."""
    finder.restart()
    rng = np.random.default_rng(1)
    wave = rng.normal(0, 0.3, 2048 * 60 + 600)
    sound = rng.normal(0, 0.02, (2048 * 60 + 512, 8))
    begin = 2048 * 40
    for channel in range(8):
        sound[begin:, channel] += wave[
            begin + 8 - channel : begin + 8 - channel + len(sound) - begin
        ]
    finder.add(sound.astype(np.float32))
    found = finder.fronts()
    loud = found.time_s > begin / RATE_HZ + 0.2
    quiet = found.time_s < begin / RATE_HZ - 0.2
    assert found.weights[loud].mean() > 20 * found.weights[quiet].mean()
    vector = found.vectors[loud][:, 5]
    turn = np.angle((vector[:, 1:] * vector[:, :-1].conj()).mean(axis=0))
    expected = -2 * np.pi * found.frequencies_hz[5] / RATE_HZ
    assert turn == pytest.approx([expected] * 7, abs=0.05)


def test_gap_shifts_later_times_and_no_frame_spans_it(finder):
    finder.restart()
    sound = np.random.default_rng(2).normal(0, 0.1, (2048 * 30 + 1000, 8)).astype(np.float32)
    finder.add(sound)
    finder.skip(5000)
    finder.add(sound)
    found = finder.fronts()
    first = (np.arange(30) * 2048 + 1280) / RATE_HZ
    second = first + (len(sound) + 5000) / RATE_HZ
    assert found.time_s == pytest.approx([*first, *second])
    assert found.seconds == pytest.approx((2 * len(sound) + 5000) / RATE_HZ)


def test_short_sound_gives_no_fronts_and_full_blocks_are_processed(finder):
    finder.restart()
    sound = np.zeros((2048 * (LEAST_BLOCK - 1) + 512, 8), np.int16)
    finder.add(sound)
    empty = finder.fronts()
    assert (len(empty.time_s), finder.segments) == (0, 0)
    assert empty.vectors.shape == (0, len(finder.frequencies_hz), 8)
    finder.restart()
    finder.add(np.zeros((2048 * BLOCK + 512, 8), np.int16))
    assert (finder.segments, finder._matrices) == (BLOCK, [])
    assert not finder.fronts().weights.any()
