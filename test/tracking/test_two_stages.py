"""Linking in two stages, with positions on a line."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.tracking.two_stages import link_in_two_stages


def link(tracks, places, scores, reach=3.0, unlinked_cost=0.0, better=100.0):
    """Linked pairs of track and detection positions, and indices of linked detections."""
    found, links = np.array(places, float), []
    taken = link_in_two_stages(
        tracks,
        np.array(scores),
        0.5,
        0.1,
        lambda left, indices: np.where(
            (apart := np.abs(np.subtract.outer(left, found[indices]))) <= reach,
            apart - better,
            np.inf,
        ),
        lambda track, index: links.append((track, found[index])),
        unlinked_cost,
    )
    return sorted(links), taken


def test_links_minimise_the_total_cost():
    assert link([0.0, 2.0], [1.9, 3.0], [0.9, 0.8]) == ([(0.0, 1.9), (2.0, 3.0)], {0, 1})


def test_weak_detection_gets_only_remaining_tracks():
    assert link([0.0], [0.1, 1.0], [0.3, 0.9]) == ([(0.0, 1.0)], {1})
    assert link([0.0, 9.0], [0.1, 1.0], [0.3, 0.9]) == ([(0.0, 1.0)], {1})
    assert link([0.0, 1.5], [0.1, 1.0], [0.3, 0.9]) == ([(0.0, 0.1), (1.5, 1.0)], {0, 1})


@pytest.mark.parametrize(
    ('score', 'linked'), [(0.05, False), (0.1, False), (0.11, True), (0.5, True), (0.51, True)]
)
def test_score_must_exceed_the_low_threshold(score, linked):
    assert bool(link([0.0], [0.0], [score])[1]) == linked


def test_empty_or_distant_inputs_are_not_linked():
    assert link([], [1.0], [0.9]) == ([], set())
    assert link([1.0], [], []) == ([], set())
    assert link([1.0], [9.0], [0.9]) == ([], set())


def test_unlinked_cost_decides_between_few_near_and_many_far_links():
    tracks, places, scores = [0.0, 2.5], [2.4, 5.4], [0.9, 0.9]
    near = link(tracks, places, scores, better=0.0, unlinked_cost=1.0)
    assert near[0] == [(2.5, 2.4)]
    many = link(tracks, places, scores, better=0.0, unlinked_cost=1e3)
    assert many[0] == [(0.0, 2.4), (2.5, 5.4)]
