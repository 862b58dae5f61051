"""Sentences about overload: dropped, too few and late windows; none if all is well."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.nodes.window_flow import WindowFlow

S = 1_000_000_000
START_NS = 1_700_000_000 * S


def run(seconds, hop_s=0.1, keep=lambda n: True, late_s=lambda t: 0.03, known_hop=False):
    """Sentences at the end of a simulated stream of windows."""
    flow = WindowFlow()
    for n in range(round(seconds / hop_s)):
        stamp_ns = START_NS + round(n * hop_s * S)
        late = late_s(n * hop_s)
        if keep(n):
            flow.add(stamp_ns + round(late * S), stamp_ns, late * 1e3)
    end_ns = START_NS + round(seconds * S) + round(late_s(seconds) * S)
    return flow.sentences(end_ns, 0, hop_s if known_hop else None)


@pytest.mark.parametrize('known_hop', [True, False])
@pytest.mark.parametrize('hop_s', [0.02, 0.1, 1.0])
def test_timely_stream_gives_no_sentences(hop_s, known_hop):
    assert run(20, hop_s, known_hop=known_hop) == []
    uneven = np.random.default_rng(0).uniform(0.01, 0.08, 2000)
    uneven_late = lambda t: uneven[round(t / hop_s) % 2000]  # noqa: E731
    assert run(20, hop_s, late_s=uneven_late, known_hop=known_hop) == []


def test_new_stream_gives_no_sentences():
    assert run(1.5, known_hop=True) == []
    assert WindowFlow().sentences(START_NS, 0, 0.1) == []


def test_too_few_windows_are_reported():
    # A node that was stopped for 0.8 s of every 2 s, as seen in the field.
    assert run(20, keep=lambda n: n % 20 < 12)[0].startswith('too few windows: ')
    # One window in five is missing.
    assert 'of 50 in the last 5 s' in run(20, keep=lambda n: n % 5)[0]
    assert run(20, keep=lambda n: n % 2, known_hop=True)[0].startswith('too few windows: 2')


def test_late_windows_are_reported():
    assert run(10, late_s=lambda t: 0.43)[0].startswith('late: windows come 0.4 s after')
    growing = run(20, late_s=lambda t: t)  # at half speed
    assert any(sentence.startswith('late: ') for sentence in growing)
    assert any(sentence.startswith('too few windows: ') for sentence in growing)
    assert run(20, hop_s=1.0, late_s=lambda t: 0.43) == []


def test_stamps_of_another_clock_are_not_reported_as_late():
    assert 'without use_sim_time' in run(10, late_s=lambda t: 86400.0)[0]


def test_dropped_windows_are_reported_only_while_recent():
    flow = WindowFlow()
    sentences = []
    for second in range(20):
        dropped = min(max(second - 3, 0), 4) * 3
        sentences.append(flow.sentences(START_NS + second * S, dropped))
    assert sentences[3] == []
    assert sentences[4] == ['too slow: windows dropped in the last 5 s: 3']
    assert sentences[7] == ['too slow: windows dropped in the last 5 s: 12']
    assert sentences[13] == sentences[19] == []


def test_time_going_back_resets_the_flow():
    flow = WindowFlow()
    for n in range(100):
        flow.add(START_NS + n * S // 10, START_NS + n * S // 10, 10.0)
    assert flow.sentences(START_NS + 10 * S) == []
    flow.add(5 * S, 5 * S, 10.0)
    assert flow.sentences(6 * S, 7) == ['too slow: windows dropped in the last 5 s: 7']


def test_drops_are_counted_over_the_last_five_seconds():
    flow = WindowFlow()
    for second, dropped, reported in (
        (0, 2, 2),
        (1, 5, 3),
        (4, 9, 7),
        (5, 9, 7),
        (6, 9, 4),
        (9, 9, 0),
    ):
        words = [f'too slow: windows dropped in the last 5 s: {reported}'] if reported else []
        assert flow.sentences(START_NS + second * S, dropped) == words, second


def test_thresholds_for_few_and_late_windows_are_exact():
    def flow(count, late_ms, hop_s=0.1):
        made = WindowFlow()
        for n in range(count):
            at_ns = START_NS + round(n * 5 / count * S)
            made.add(at_ns, at_ns, late_ms)
        return made.sentences(START_NS + 5 * S, 0, hop_s)

    assert flow(44, 20.0) == []
    assert flow(43, 20.0) == ['too few windows: 43 of 50 in the last 5 s']
    assert flow(50, 300.0) == []
    assert flow(50, 301.0) == ['late: windows come 0.3 s after their last sample']
    assert flow(25, 599.0, 0.2) == []
    assert flow(25, 601.0, 0.2) == ['late: windows come 0.6 s after their last sample']
    assert flow(50, 60_000.0)[0].startswith('late')
    clock = (
        's before ROS time: of another clock, or of a recording that plays to nodes '
        'without use_sim_time'
    )
    assert flow(50, 61_000.0) == [f'stamps are 61 {clock}']
    assert flow(50, -61_000.0) == [f'stamps are -61 {clock}']
    assert flow(50, -50_000.0) == []


def test_few_late_windows_are_tolerated_and_many_are_reported():
    for late_count, reported in ((2, False), (8, True)):
        flow = WindowFlow()
        for n in range(50):
            at_ns = START_NS + n * S // 10
            flow.add(at_ns, at_ns, 900.0 if n < late_count else 20.0)
        assert bool(flow.sentences(START_NS + 5 * S, 0, 0.1)) == reported


def test_flow_keeps_five_seconds_and_needs_ten_steps():
    flow = WindowFlow()
    for n in range(10):
        flow.add(START_NS + n * S, START_NS + n * S // 10, 20.0)
    assert len(flow._windows) == 6  # five seconds, both ends included
    flow = WindowFlow()
    for n in range(11):
        flow.add(START_NS + n * S // 10, START_NS + n * S // 10, 900.0)
        sentences = flow.sentences(START_NS + n * S // 10)
        assert bool(sentences) == (n == 10)  # ten steps determine the hop
