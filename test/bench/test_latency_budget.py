"""The latency budget of a window adds up and leaves out windows that were lost."""

import pytest

from avdet_ros.bench.latency_budget import WAY, WHOLE, budget, budget_table


def window(factor):
    """Times of a window whose step k takes k times the factor, in milliseconds."""
    return {(node, mark): factor * (k + 1) * (k + 2) / 2 for k, (_, node, mark) in enumerate(WAY)}


def test_each_step_is_timed_from_the_previous_one():
    rows = budget({number: window(factor) for number, factor in enumerate([1, 2, 3])})
    assert [row.step for row in rows] == [*(step for step, _, _ in WAY), WHOLE]
    assert [row.p50 for row in rows[:-1]] == pytest.approx([2 * (k + 1) for k in range(len(WAY))])
    assert rows[-1].p50 == pytest.approx(sum(row.p50 for row in rows[:-1]))
    assert all(row.p50 < row.p99 <= 1.5 * row.p50 for row in rows)


def test_window_without_tracks_is_left_out():
    lost = window(100)
    del lost['tracker', 'sent']
    assert budget({1: window(1), 2: lost}) == budget({1: window(1)})
    assert budget({2: lost}) == []


def test_table_has_a_row_per_step_and_a_total():
    assert budget_table(10, budget({1: window(1)})).row_count == len(WAY) + 1
