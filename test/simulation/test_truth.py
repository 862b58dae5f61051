"""Which vehicles are labelled: each condition alone, on both sides of its threshold."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.simulation.truth import LABEL_DISTANCE_M, LABEL_HEIGHT_PX, LABEL_IN_IMAGE, Truth

TALL, WIDE = (8, 30), (40, 11)


def truth(size_px=TALL, in_image=1.0, distance_m=20.0, audible=True):
    width, height = size_px
    one = np.ones(1, np.float32)
    return Truth(
        time_s=0.0,
        boxes_px=np.array([[100, 200, 100 + width, 200 + height]], np.float32),
        ids=np.array([3]),
        kinds=('car',),
        distance_m=one * distance_m,
        speed_mps=one,
        in_image=one * in_image,
        visible_fraction=0 * one,
        level_db=50 * one,
        rest_db=50 * one,
        audible=np.array([audible]),
    )


@pytest.mark.parametrize(
    ('kept', 'keys'),
    [
        (True, {'size_px': TALL}),
        (False, {'size_px': WIDE}),
        (True, {'size_px': (2, LABEL_HEIGHT_PX)}),
        (False, {'size_px': (300, LABEL_HEIGHT_PX - 1)}),
        (True, {'in_image': LABEL_IN_IMAGE + 0.01}),
        (False, {'in_image': LABEL_IN_IMAGE - 0.01}),
        (True, {'distance_m': LABEL_DISTANCE_M - 0.1}),
        (False, {'distance_m': LABEL_DISTANCE_M + 0.1}),
        (False, {'audible': False}),
    ],
)
def test_label_requires_height_image_fraction_distance_and_audibility(kept, keys):
    assert len(truth(**keys).labels()) == kept


def test_label_thresholds_match_documentation():
    assert (LABEL_HEIGHT_PX, LABEL_IN_IMAGE) == (12, 0.3)
