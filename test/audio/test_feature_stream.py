"""Features computed frame by frame match those of the whole window for any input blocks."""

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.audio.feature_stream import FeatureStream
from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.window import Window, WindowBuffer
from avdet_ros.errors import AvdetError

RATE = 8000
SOUND = np.random.default_rng(5).normal(0, 2000, (90_000, 8)).astype(np.int16)

CALIBRATIONS = {
    'as built': ((), (), ()),
    'gains and delays': (tuple(np.linspace(-6, 6, 8)), tuple(np.arange(8) * 2e-5), ()),
    'two dead': ((), (0.0, 3e-5) * 4, (2, 7)),
}


def small_front_end(calibration='as built', hop_length=64, n_fft=256):
    gain_db, delay_s, dead = CALIBRATIONS[calibration]
    grid = {'window_s': 0.25, 'n_fft': n_fft, 'hop_length': hop_length, 'n_mels': 20}
    return FrontEnd(RATE, gain_db=gain_db, delay_s=delay_s, dead=dead, **grid)


def buffer(front_end, hop_s=0.05, grid=True):
    step = front_end.hop_length if grid else 1
    return WindowBuffer(8, RATE, front_end.window_s, hop_s, step)


def assert_equal(stream, window):
    found = stream.compute(window)
    expected = stream.front_end.compute(window.waveform)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found[:8] - expected[:8]).max() <= 1e-3
    assert np.abs(found[8:] - expected[8:]).max() <= 1e-4


@given(
    blocks=st.lists(
        st.tuples(
            st.integers(1, 1500),
            st.one_of(st.just(0), st.just(0), st.integers(0, 5000)),
            st.sampled_from([False] * 8 + [True]),
        ),
        min_size=3,
        max_size=20,
    ),
    calibration=st.sampled_from(sorted(CALIBRATIONS)),
    hop_s=st.sampled_from([0.05, 0.031, 0.2, 0.008]),
    left_out=st.lists(st.booleans(), max_size=20),
)
@settings(max_examples=examples(60), deadline=None)
def test_streamed_features_match_the_whole_window(blocks, calibration, hop_s, left_out):
    """Blocks of any size with gaps, restarts and windows that are not computed."""
    stream = FeatureStream(small_front_end(calibration))
    ring = buffer(stream.front_end, hop_s)
    at = number = 0
    skip = dict(enumerate(left_out))
    for size, gap, restart in blocks:
        number = 0 if restart else number + gap
        block = SOUND[at % 50_000 : at % 50_000 + size]
        for window in ring.push(block, number):
            if not skip.pop(len(skip), False):
                assert_equal(stream, window)
        at += size
        number += size


@given(
    hop_length=st.sampled_from([50, 64, 100, 256, 300]),
    n_fft=st.sampled_from([64, 250, 256, 1024, 2500]),
    grid=st.booleans(),
)
@settings(max_examples=examples(25), deadline=None)
def test_any_front_end_and_grid_match_the_whole_window(hop_length, n_fft, grid):
    stream = FeatureStream(small_front_end(hop_length=hop_length, n_fft=n_fft))
    for window in buffer(stream.front_end, 0.06, grid).push(SOUND[:5000], 17):
        assert_equal(stream, window)


def test_shared_frames_are_transformed_once(front_end):
    stream = FeatureStream(front_end)
    sound = SOUND[: 44100 + 8 * 4410]
    windows = WindowBuffer(8, 44100, 1.0, 0.1, front_end.hop_length).push(sound, 0)
    stream.compute(windows[0])
    assert stream.frames_transformed == front_end.frames
    for window in windows[1:5]:
        assert_equal(stream, window)
    steps = (windows[4].end_sample - windows[0].end_sample) // front_end.hop_length
    edges = 2 + 2
    assert stream.frames_transformed == front_end.frames + steps + 4 * edges


def test_equal_sample_numbers_of_different_streams_are_kept_apart():
    stream = FeatureStream(small_front_end())
    for begin in (0, 20_000):
        ring = buffer(stream.front_end)
        for window in ring.push(SOUND[begin : begin + 4000], 0):
            assert_equal(stream, window)
        ring.reset()
        for window in ring.push(SOUND[begin + 9000 : begin + 13_000], 0):
            assert_equal(stream, window)


def test_windows_in_any_order_and_far_ahead_match():
    stream = FeatureStream(small_front_end())
    windows = buffer(stream.front_end).push(SOUND[:20_000], 0)
    for index in (5, 5, 4, 0, 20, 21, 7, 22):
        assert_equal(stream, windows[index])
    far = 64 * 10**12
    assert_equal(stream, Window(windows[3].waveform, far + 2000, 0, windows[3].stream))


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e30, -1e30])
def test_damaged_samples_give_finite_matching_features(value):
    """Also next to samples above full scale, which a damaged neighbour does not change."""
    stream = FeatureStream(small_front_end())
    sound = SOUND[:6000].astype(np.float32) / 8192
    assert np.abs(sound).max() > 1
    sound[3100, 2] = value
    for window in buffer(stream.front_end).push(sound, 0):
        assert_equal(stream, window)
        assert np.isfinite(stream.compute(window)).all()


def test_earlier_results_are_not_overwritten():
    stream = FeatureStream(small_front_end())
    first, *rest = buffer(stream.front_end).push(SOUND[:6000], 0)
    found = stream.compute(first)
    before = found.copy()
    for window in rest:
        stream.compute(window)
    assert np.array_equal(found, before)


@pytest.mark.parametrize(
    ('waveform', 'found'),
    [
        (np.zeros((8, 1999), np.float32), r'\(8, 1999\)'),
        (np.zeros((8, 2000)), 'float64'),
    ],
)
def test_wrong_window_shape_or_type_is_rejected(waveform, found):
    with pytest.raises(AvdetError, match=rf'expected \(8, 2000\) float32 samples, found.*{found}'):
        FeatureStream(small_front_end()).compute(Window(waveform, 2000, 0, 1))
