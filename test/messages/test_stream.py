"""Blocks of sound are placed correctly even if the stamps of their driver are inexact."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.messages.stream import Place, StampedBlocks

RATE_HZ = 44100
BEGIN_NS = 1_750_000_000_000_000_000


def place(stamp_of, block=1024, count=400, lost=()):
    """Add blocks with these stamps; return the stream and the place of each block."""
    blocks = StampedBlocks(RATE_HZ)
    placed = []
    for index in range(count):
        if index not in lost:
            true_ns = BEGIN_NS + round(index * block * 1e9 / RATE_HZ)
            placed += blocks.add(
                stamp_of(index, true_ns), range(index * block, (index + 1) * block)
            )
    return blocks, [*placed, *blocks.flush()]


def rounded_to(unit_ns):
    return lambda index, true_ns: true_ns // unit_ns * unit_ns


def errors_ms(placed):
    times = [(p.stamp_ns - BEGIN_NS) * 1e-6 - part.start * 1e3 / RATE_HZ for p, part in placed]
    return np.array(times)


@pytest.mark.parametrize('block', [64, 441, 512, 1024, 4410])
@pytest.mark.parametrize('unit_ms', [1, 10, 100])
def test_rounded_stamps_cause_no_loss(block, unit_ms):
    blocks, placed = place(rounded_to(unit_ms * 1_000_000), block)
    assert [part.start for _, part in placed] == [p.first_sample for p, _ in placed]
    assert not any(p.lost or p.restarted for p, _ in placed)
    assert np.abs(errors_ms(placed)).max() <= unit_ms
    assert blocks.wrong_stamps == 0


@pytest.mark.parametrize('block', [441, 1024, 4410])
@pytest.mark.parametrize('kind', ['arrival', 'exponential', 'both ways'])
def test_late_stamps_cause_no_loss(block, kind):
    rng = np.random.default_rng(5)
    late_s = {
        'arrival': np.abs(rng.normal(scale=0.010, size=400)),
        'exponential': rng.exponential(0.005, 400),
        'both ways': rng.normal(scale=0.004, size=400),
    }[kind]
    _, placed = place(lambda index, true_ns: true_ns + round(late_s[index] * 1e9), block)
    assert [part.start for _, part in placed] == [p.first_sample for p, _ in placed]
    assert not any(p.restarted for p, _ in placed)
    assert np.abs(errors_ms(placed)).max() < 1.1 * np.abs(late_s).max() * 1e3


@pytest.mark.parametrize('number', [60, 150, 398])
@pytest.mark.parametrize('stamp', [0, 1, BEGIN_NS - 10**9, BEGIN_NS + 10**11, 4 * 10**18])
def test_single_wrong_stamp_is_counted_and_has_no_effect(number, stamp):
    blocks, placed = place(lambda index, true_ns: stamp if index == number else true_ns)
    assert [part.start for _, part in placed] == [p.first_sample for p, _ in placed]
    assert np.abs(errors_ms(placed)).max() < 1e-3
    assert blocks.wrong_stamps == 1


def test_foreign_block_between_others_is_dropped():
    blocks = StampedBlocks(RATE_HZ)
    placed = []
    for index in range(50):
        true_ns = BEGIN_NS + round(index * 1024 * 1e9 / RATE_HZ)
        placed += blocks.add(true_ns, range(index * 1024, (index + 1) * 1024))
        if index == 20:
            placed += blocks.add(BEGIN_NS - 10**13, range(1024))
    assert [part.start for _, part in placed] == [1024 * index for index in range(50)]
    assert not any(p.lost or p.restarted for p, _ in placed)
    assert blocks.wrong_stamps == 1


@pytest.mark.parametrize('rough', [False, True])
@pytest.mark.parametrize('lost', [1, 3, 40])
def test_lost_blocks_are_counted(lost, rough):
    rng = np.random.default_rng(3)
    late_ns = np.abs(rng.normal(scale=0.005e9, size=400)) if rough else np.zeros(400)
    _, placed = place(
        lambda index, true_ns: true_ns + round(late_ns[index]), lost=range(100, 100 + lost)
    )
    found = [p.lost for p, _ in placed if p.lost]
    slack = 0.015 * RATE_HZ if rough else 1
    assert sum(found) == pytest.approx(lost * 1024, abs=slack)
    assert not any(p.restarted for p, _ in placed)


def test_lost_block_after_a_wrong_stamp_is_counted():
    _, placed = place(lambda index, true_ns: 0 if index == 99 else true_ns, lost=(100,))
    assert sum(p.lost for p, _ in placed) == 1024
    assert not any(p.restarted for p, _ in placed)


@pytest.mark.parametrize('back_s', [3, 3600, 1_700_000_000])
def test_lasting_jump_of_stamps_restarts_the_stream(back_s):
    _, placed = place(lambda index, true_ns: true_ns - back_s * 10**9 * (index >= 200))
    begun = [index for index, (p, _) in enumerate(placed) if p.restarted]
    assert begun == [200]
    assert placed[200][0] == Place(0, placed[200][0].stamp_ns, RATE_HZ, restarted=True)
    assert sum(p.lost for p, _ in placed) == 0


def test_clock_set_at_the_start_restarts_the_stream_without_loss():
    _, placed = place(lambda index, true_ns: true_ns - BEGIN_NS * (index < 20) + 10**9)
    assert [index for index, (p, _) in enumerate(placed) if p.restarted] == [20]
    assert sum(p.lost for p, _ in placed) == 0


def test_small_clock_step_shifts_times_without_loss():
    _, placed = place(lambda index, true_ns: true_ns - 50_000_000 * (index >= 200))
    assert [part.start for _, part in placed] == [p.first_sample for p, _ in placed]
    assert errors_ms(placed)[[100, 300]] == pytest.approx([0, -50], abs=0.01)


def test_clock_drift_causes_no_loss():
    _, placed = place(lambda index, true_ns: true_ns + index * 5_000, count=4000)
    assert not any(p.lost or p.restarted for p, _ in placed)
    assert errors_ms(placed)[-1] == pytest.approx(3999 * 0.005, abs=0.01)


@pytest.mark.parametrize('lost_ms', [40, 80])
def test_loss_hidden_by_coarse_stamps_is_counted_a_second_later(lost_ms):
    """Stamps are rounded to tenths of a second; blocks last 20 ms."""
    lost = round(lost_ms * 1e-3 * RATE_HZ)

    def stamp(index, true_ns):
        true_ns += round(lost_ms * 1e6) * (index >= 200)
        return true_ns // 100_000_000 * 100_000_000

    _, placed = place(stamp, block=882)
    counted = [(index, p.lost) for index, (p, _) in enumerate(placed) if p.lost]
    assert sum(number for _, number in counted) == pytest.approx(lost, abs=0.01 * RATE_HZ)
    assert counted[0][0] >= 249  # a second later at the earliest
    assert not any(p.restarted for p, _ in placed)


def test_place_converts_sample_numbers_to_times():
    found = Place(1000, 5_000_000_000, 8000)
    assert found.time_ns(1000) == 5_000_000_000
    assert found.time_ns(9000) == 6_000_000_000
    assert found.time_ns(0) == 4_875_000_000
    blocks = StampedBlocks(8000)
    assert not blocks.begun
    assert blocks.add(5, []) == []
    assert blocks.flush() == []
    blocks.add(5, [1])
    assert blocks.begun
