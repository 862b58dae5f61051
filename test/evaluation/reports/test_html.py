from __future__ import annotations

import base64
from html.parser import HTMLParser
import re

import cv2
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.reports.html import Results, write_report
from avdet_ros.evaluation.reports.samples import choose_samples
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.evaluation.scores import score
from avdet_ros.tracking import make_tracker

pytestmark = pytest.mark.slow

ERRORS = {'good': (4, 0.0), 'bad': (60, 0.5)}


class Page(HTMLParser):
    """The open tags, texts and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ('meta', 'img', 'link', 'br'):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope='module')
def page(drive, rig, tmp_path_factory):
    records = [drive(seed, ERRORS) for seed in range(3)]
    for record in records:
        record.conditions['light'] = 'night'
    unnamed = [drive(seed, ERRORS) for seed in range(3)]
    for record in unnamed:
        record.truth = [TruthFrame.of(f.boxes_px, np.full(len(f), -1)) for f in record.truth]
    results = [
        Results(truth, its, {name: score(its, name, rig, make_tracker('iou')) for name in ERRORS})
        for truth, its in (('true boxes', records), ('fused labels', unnamed))
    ]
    path = tmp_path_factory.mktemp('report') / 'deep' / 'report.html'
    picture = np.full((650, 1920, 3), 128, np.uint8)
    write_report(
        path,
        'Boxes of <good>',
        'three drives',
        results,
        lambda record, index: picture,
        {'model': 'good.onnx'},
        'avdet eval model --report r.html',
        ['Two frames left out.'],
        6,
    )
    return path, results


def test_page_is_well_formed_and_self_contained(page):
    path, _ = page
    text = path.read_text()
    parsed = Page(text)
    assert parsed.open == [], 'every tag is closed'
    for link in parsed.links:
        assert link.startswith(('data:image/', '#')), link
    assert not re.search(r'url\(|@import|<script', text)
    assert all(f'id="{link[1:]}"' in text for link in parsed.links if link.startswith('#'))
    assert 'Boxes of &lt;good&gt;' in text


def test_page_contains_pictures_and_curves(page):
    path, results = page
    text = path.read_text()
    shown = len(choose_samples(results[0].records, 'good', 6))
    assert 3 <= shown <= 6
    jpegs = re.findall(r'data:image/jpeg;base64,([^"]+)', text)
    assert len(jpegs) == 2 + shown, 'a map for each detector, and the frames'
    for data in jpegs:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert image.std() > 1
    curves = re.findall(r'data:image/svg\+xml;base64,([^"]+)', text)
    assert len(curves) == 2
    assert b'IoU 0.75' in base64.b64decode(curves[0])
    assert b'good' in base64.b64decode(curves[0])


@pytest.mark.slow
def test_unwritable_report_raises_an_error(page, rig, tmp_path):
    (tmp_path / 'file').write_text('')
    picture = np.zeros((650, 1920, 3), np.uint8)
    with pytest.raises(AvdetError, match='cannot write the report'):
        write_report(
            tmp_path / 'file' / 'report.html',
            't',
            's',
            page[1],
            lambda record, index: picture,
            {},
            pictures=0,
        )
