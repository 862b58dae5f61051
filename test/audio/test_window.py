"""Windows do not depend on block sizes, and count their missing samples."""

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.audio.window import WindowBuffer
from avdet_ros.errors import AvdetError

RATE = 1000
SOUND = np.random.default_rng(3).integers(-32768, 32768, (20_000, 8)).astype(np.int16)


def buffer(window_s=0.5, hop_s=0.1):
    return WindowBuffer(8, RATE, window_s, hop_s)


def play(ring, sizes, start=0, first_sample=0):
    """Push blocks of the given sizes and return the windows."""
    windows, at = [], start
    for size in sizes:
        block = SOUND[at : at + size]
        windows += ring.push(block, first_sample + at - start)
        at += len(block)
    return windows


def expected_waveform(start, stop):
    return SOUND[start:stop].T.astype(np.float32) / 32768


@given(
    sizes=st.lists(st.integers(0, 1500), max_size=30),
    hop_s=st.sampled_from([0.1, 0.037, 1 / 30, 0.5, 0.005]),
)
@settings(max_examples=examples(60), deadline=None)
def test_any_block_sizes_give_the_same_windows(sizes, hop_s):
    total = min(sum(sizes), len(SOUND))
    ring = buffer(hop_s=hop_s)
    windows = play(ring, sizes)
    ends = [500 + int(k * hop_s * RATE + 1e-9) for k in range(20_000)]
    assert [window.end_sample for window in windows] == [end for end in ends if end <= total]
    for window in windows:
        assert window.waveform.dtype == np.float32
        assert window.gap_samples == 0
        expected = expected_waveform(window.end_sample - 500, window.end_sample)
        assert np.array_equal(window.waveform, expected)


@pytest.mark.parametrize('hop_s', [0.1, 0.037])
def test_pushing_the_missing_samples_completes_one_window(hop_s):
    ring = WindowBuffer(8, RATE, 0.5, hop_s, 7)
    assert ring.samples_missing == 500
    play(ring, [1])
    at = 1
    for count in range(30):
        missing = ring.samples_missing
        assert play(ring, [missing - 1], at, at) == []
        assert ring.samples_missing == 1
        (window,) = play(ring, [1], at + missing - 1, at + missing - 1)
        at += missing
        assert window.end_sample == at
        assert at == pytest.approx(500 + count * hop_s * RATE, abs=7)


@given(
    blocks=st.lists(
        st.tuples(st.integers(1, 900), st.one_of(st.just(0), st.integers(0, 3000))),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=examples(100), deadline=None)
def test_windows_count_their_gap_samples(blocks):
    """Compared with a simple reference: one array of all samples and a mask of received ones."""
    ring = buffer(hop_s=0.037)
    windows, at, lost = [], 0, 0
    truth = np.zeros((200_000, 8), np.float32)
    received = np.zeros(200_000, bool)
    for size, gap in blocks:
        block = SOUND[at % 15_000 : at % 15_000 + size]
        windows += ring.push(block, at)
        truth[at : at + size] = block / np.float32(32768)
        received[at : at + size] = True
        at += size + gap
        lost += gap
    end_of_sound = at - blocks[-1][1]
    ends = [500 + round(k * 37.0) for k in range(10_000)]
    ends = [end for end in ends if end <= end_of_sound]
    expected_ends = [end for end in ends if received[end - 500 : end].any()]
    assert [window.end_sample for window in windows] == expected_ends
    assert ring.skipped_windows == len(ends) - len(expected_ends)
    assert ring.lost_samples == lost - blocks[-1][1]
    for window in windows:
        span = slice(window.end_sample - 500, window.end_sample)
        assert window.gap_samples == 500 - received[span].sum()
        assert np.array_equal(window.waveform, truth[span].T)


def test_huge_gap_is_skipped_quickly():
    ring = buffer()
    play(ring, [700])
    windows = ring.push(SOUND[:500], 10**15)
    assert windows[0].end_sample < 1500
    assert windows[-1].end_sample > 10**15
    assert len(windows) < 20
    assert ring.skipped_windows == pytest.approx(10**13, rel=1e-6)
    assert ring.lost_samples == 10**15 - 700


def test_restarted_source_restarts_the_grid():
    ring = buffer()
    play(ring, [730])
    windows = play(ring, [400, 400], start=5000, first_sample=100)
    assert [window.end_sample for window in windows] == [600, 700, 800, 900]
    assert np.array_equal(windows[0].waveform, expected_waveform(5000, 5500))
    assert ring.restarts == 1
    ring.reset()
    assert [window.end_sample for window in play(ring, [600], first_sample=50)] == [550, 650]
    assert ring.restarts == 1


@given(
    hop_s=st.sampled_from([0.1, 0.05, 0.037, 0.032, 0.005]),
    window_s=st.sampled_from([0.5, 0.512, 0.513]),
    first_sample=st.integers(0, 1000),
)
@settings(max_examples=examples(40), deadline=None)
def test_windows_end_at_the_last_grid_point_before_their_time(hop_s, window_s, first_sample):
    ring = WindowBuffer(8, RATE, window_s, hop_s, grid_samples=32)
    windows = play(ring, [700] * 10, first_sample=first_sample)
    ends = np.array([window.end_sample for window in windows]) - first_sample
    assert not (ends % 32).any()
    assert (np.diff(ends) > 0).all()
    hop, window = max(hop_s * RATE, 32), round(window_s * RATE)
    late = ends - (window + hop * np.arange(len(ends)))
    assert 0 <= late[0] < 32
    if hop > 64:
        assert (late[1:] <= 1e-6).all()
        assert (late[1:] > -32 - 1e-6).all()
    for window in windows[::7]:
        end = window.end_sample - first_sample
        assert np.array_equal(
            window.waveform, expected_waveform(end - round(window_s * RATE), end)
        )


def test_grid_phase_shifts_the_window_starts():
    ring = WindowBuffer(8, RATE, 0.5, 0.1, grid_samples=32, phase=0.9)
    starts = [window.start_sample - 77 for window in play(ring, [1000], first_sample=77)]
    assert starts == [32 * int(0.9 + k * 100 / 32) for k in range(5)]


def test_streams_have_unique_numbers():
    ring, other = buffer(), buffer()
    (first,), (second,) = play(ring, [500]), play(other, [500])
    ring.reset()
    (third,) = play(ring, [500])
    assert len({first.stream, second.stream, third.stream}) == 3


def test_float_blocks_pass_unchanged():
    ring = buffer()
    sound = SOUND[:500].astype(np.float32) / 32768
    (window,) = ring.push(sound, 0)
    assert np.array_equal(window.waveform, sound.T)


def test_window_is_not_changed_by_later_sound():
    ring = buffer()
    (window,) = play(ring, [500])
    before = window.waveform.copy()
    play(ring, [3000], start=500, first_sample=500)
    assert np.array_equal(window.waveform, before)
    ring.reset()
    play(ring, [3000], start=500)
    assert np.array_equal(window.waveform, before)
    with pytest.raises(ValueError, match='read-only'):
        window.waveform[0, 0] = 1  # windows share their samples


@pytest.mark.parametrize('hop_s', [0.0, -1.0, 0.6, float('nan')])
def test_invalid_hops_are_rejected(hop_s):
    with pytest.raises(AvdetError, match='hop_s: expected'):
        buffer(hop_s=hop_s)


@pytest.mark.parametrize(
    ('block', 'found'),
    [
        (np.zeros((10, 7), np.int16), r'shape \(10, 7\)'),
        (np.zeros(80, np.int16), r'shape \(80,\)'),
        (np.zeros((10, 8), np.int32), 'int32'),
    ],
)
def test_wrong_block_shape_or_type_is_rejected(block, found):
    with pytest.raises(AvdetError, match=f'block of sound: expected .*found {found}'):
        buffer().push(block, 0)
