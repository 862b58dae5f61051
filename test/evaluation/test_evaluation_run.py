"""The page of an evaluation: what it reports about model, data and tracker."""

from __future__ import annotations

import base64
from html import unescape
import re

import cv2
import numpy as np
import pytest

from avdet_ros.evaluation.evaluation_run import Run, write
from avdet_ros.evaluation.reports.html import Results
from avdet_ros.evaluation.scores import score
from avdet_ros.tracking import make_tracker


@pytest.mark.slow
def test_page_reports_model_data_and_tracker(drive, rig, tmp_path):
    records = [drive(3, {'mine': (4, 0.0)}, windows=5)]
    picture = np.full((650, 1920, 3), 128, np.uint8)
    asked = []

    def look(record, index):
        asked.append(record.name)
        return picture

    run = Run(
        title='one drive of half a second',
        settings={
            'model': {
                'file': 'some/mine.onnx',
                'sha256': 'ab12',
                'bytes': 1_234_567,
                'provider': 'CPU',
                'recipe': '',
            },
            'tracker': {'name': 'iou', 'max_gap_s': 0.5},
        },
        results=[
            Results(
                'true boxes', records, {'mine': score(records, 'mine', rig, make_tracker('iou'))}
            )
        ],
        notes=['One frame left out.'],
        picture=look,
        main='mine',
    )
    write(run, tmp_path / 'page.html', 'avdet eval model --drives 1', pictures=1)
    page = (tmp_path / 'page.html').read_text()
    text = ' '.join(unescape(re.sub(r'<[^>]*>', ' ', page)).split())
    assert '<title>mine, evaluated</title>' in page
    for part in (
        'model some/mine.onnx, 1.23 MB, sha256 ab12',
        'recipe unknown',
        'run on CPU',
        'data one drive of half a second',
        'tracker name iou, max_gap_s 0.5',
        'One frame left out.',
        'avdet eval model --drives 1',
    ):
        assert part in text
    assert asked == ['seed 3']
    data = re.findall(r'data:image/jpeg;base64,([^"]+)', page)[-1]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert np.median(shown) == 128
