"""Watermarks give the numbers of recorded samples and show where some are missing."""

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from avdet_ros.audio.watermark import Run, mark, read_marks


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(-3000, 3000, (count, 8)).astype(np.int16)


@settings(deadline=None, max_examples=examples(50))
@given(st.integers(0, 2**31), st.integers(12, 500))
def test_marked_block_gives_its_first_sample_number(first, count):
    sound = noise(count)
    marked = mark(sound, first)
    assert read_marks(marked) == [Run(0, first, count)]
    assert np.abs(marked.astype(int) - sound).max() <= 1


def test_loss_inside_a_block_splits_it_into_two_runs():
    marked = mark(noise(1000), 70_000)
    cut = np.concatenate([marked[:301], marked[777:]])
    assert read_marks(cut) == [Run(0, 70_000, 301), Run(301, 70_777, 223)]


def test_sound_without_marks_gives_no_runs():
    assert read_marks(noise(2000)) == []
    assert read_marks(noise(2000).astype(np.float32) / 32768) == []
    assert read_marks(np.zeros((2000, 8), np.int16)) == []
    assert read_marks(noise(3)) == []
