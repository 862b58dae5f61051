"""The actual sample rate of sound is measured from realistic driver stamps."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.audio.sound_rate import ArrivalRate, RateWatch, measure_rate, nearest_rate

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def stamped(rate_hz, count, block=1024, first=0, start_ns=START_NS):
    """Stamps and sample counts of blocks at a sample rate."""
    stamps = [start_ns + round(i * block * 1e9 / rate_hz) for i in range(first, first + count)]
    return stamps, [block] * count


def rounded(step_ns):
    return lambda stamps, rng: [stamp // step_ns * step_ns for stamp in stamps]


def late(stamps, rng):
    return [
        stamp + round(abs(value) * 1e7)
        for stamp, value in zip(stamps, rng.normal(size=len(stamps)), strict=True)
    ]


def in_bursts(stamps, rng):
    return [stamps[i // 8 * 8] for i in range(len(stamps))]


def one_zero(stamps, rng):
    return [0 if i == 40 else stamp for i, stamp in enumerate(stamps)]


def clock_set(stamps, rng):
    return [stamp - 3_000 * MS if i > 60 else stamp for i, stamp in enumerate(stamps)]


STAMPS = {
    'exact': rounded(1),
    'whole milliseconds': rounded(MS),
    'hundredths': rounded(10 * MS),
    'tenths': rounded(100 * MS),
    'late': late,
    'eight blocks at once': in_bursts,
    'one without a stamp': one_zero,
    'clock set back': clock_set,
}


@pytest.mark.parametrize('how', STAMPS)
@pytest.mark.parametrize('block', [441, 1024, 2048])
@pytest.mark.parametrize('rate_hz', [44100, 48000, 32000, 96000])
def test_rate_is_measured_from_rough_stamps(how, block, rate_hz):
    stamps, counts = stamped(rate_hz, 130, block)
    stamps = STAMPS[how](stamps, np.random.default_rng(3))
    measured = measure_rate(stamps, counts)
    assert not measured.is_other(rate_hz)
    if measured.error < 0.01:
        assert measured.is_other(44100) == (rate_hz != 44100)


@pytest.mark.parametrize('lost', [range(50, 90), range(0, 130, 10), (3, 4, 70)])
def test_lost_blocks_do_not_change_the_rate(lost):
    stamps, counts = stamped(44100, 130)
    kept = [stamp for i, stamp in enumerate(stamps) if i not in lost]
    measured = measure_rate(kept, counts[: len(kept)])
    assert measured.hz == pytest.approx(44100, rel=1e-3)


def test_too_few_or_equal_stamps_give_no_rate():
    assert measure_rate(*stamped(44100, 3)) is None
    assert measure_rate([START_NS] * 50, [1024] * 50) is None
    assert measure_rate([0] * 50, [1024] * 50) is None
    assert measure_rate([], []) is None


def test_watch_detects_a_sender_that_returns_with_another_rate():
    watch = RateWatch(44100)
    stamps, counts = stamped(44100, 400)
    assert all(watch.add(*block) for block in zip(stamps, counts, strict=True))
    later = stamps[-1] + 5_000 * MS
    stamps, counts = stamped(48000, 150, start_ns=later)
    right = [watch.add(*block) for block in zip(stamps, counts, strict=True)]
    assert not any(right[-20:])
    assert nearest_rate(watch.other_hz) == 48000
    assert right.index(False) * 1024 < 3 * 48000
    stamps, counts = stamped(44100, 250, start_ns=stamps[-1] + 1_000 * MS)
    for block in zip(stamps, counts, strict=True):
        watch.add(*block)
    assert (watch.other_hz, watch.other_s) == (None, 0.0)


@pytest.mark.parametrize('how', ['exact', 'whole milliseconds', 'late', 'one without a stamp'])
def test_watch_accepts_sound_at_the_expected_rate(how):
    watch = RateWatch(44100)
    stamps, counts = stamped(44100, 130)
    stamps = STAMPS[how](stamps, np.random.default_rng(4))
    assert all(watch.add(*block) for block in zip(stamps, counts, strict=True))


def test_watch_detects_another_rate_in_about_a_second():
    watch = RateWatch(44100)
    right = [watch.add(*block) for block in zip(*stamped(48000, 130), strict=True)]
    assert right.index(False) * 1024 < 1.3 * 48000


def arrivals(rate_hz, seconds, bunch=9, stall=None):
    """Arrivals of blocks of 1024 samples in bunches; a stall delays blocks during it."""
    for i in range(round(seconds * rate_hz / 1024)):
        arrival_s = 100.3 + (i // bunch + 1) * bunch * 1024 / rate_hz
        if stall and stall[0] <= arrival_s < stall[1]:
            arrival_s = stall[1]
        yield arrival_s, 1024, False


@pytest.mark.parametrize('rate_hz', [32000, 48000, 88200])
def test_device_rate_other_than_opened_is_detected(rate_hz):
    delivery = ArrivalRate(44100)
    for block in arrivals(rate_hz, 13):
        delivery.add(*block)
    assert nearest_rate(delivery.other_hz) == rate_hz


@pytest.mark.parametrize('stall', [None, (105.0, 108.0), (103.0, 104.2)])
def test_bunches_stalls_and_losses_do_not_change_the_rate(stall):
    delivery = ArrivalRate(44100)
    for block in arrivals(44100, 20, stall=stall):
        delivery.add(*block)
        assert delivery.other_hz is None
    delivery = ArrivalRate(44100)
    for i, (arrival_s, count, _) in enumerate(arrivals(44100, 20)):
        if i % 2:
            delivery.add(arrival_s, count, i % 41 == 1)
            assert delivery.other_hz is None
