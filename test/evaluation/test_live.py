"""Scores of a running graph."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.live import score_live

BOX = np.array([[100.0, 100.0, 200.0, 180.0]], np.float32)


def boxes(box=BOX, score=0.9, ids=('1',)):
    return Detections(box, np.full(len(box), score, np.float32)), list(ids)


def test_perfect_tracks_score_one():
    stamps = range(10**9, 2 * 10**9, 10**8)
    truth = {stamp: boxes() for stamp in stamps}
    late = {stamp + 2_000_000: boxes() for stamp in stamps}
    scores = score_live(truth, late, late, (1920, 650))
    assert scores['map50'] == pytest.approx(1)
    assert scores['mota'] == pytest.approx(1)


def test_windows_without_tracks_count_as_missed():
    stamps = list(range(10**9, 2 * 10**9, 10**8))
    truth = {stamp: boxes() for stamp in stamps}
    tracks = {stamp: boxes() for stamp in stamps[:5]}
    assert score_live(truth, truth, tracks, (1920, 650))['mota'] == pytest.approx(0.5)


@pytest.mark.parametrize('truth', [{}, {10**9: boxes(BOX[:0], ids=())}, {5 * 10**9: boxes()}])
def test_scores_are_none_without_truth(truth):
    found = {10**9: boxes()}
    assert score_live(truth, found, found, (1920, 650)) == {'map50': None, 'mota': None}
