"""Each number of a report is in its cell: invented scores, and the page parsed."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
import math
import re

import cv2
import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.reports.html import Results, write_report
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame

BOX = [100, 100, 300, 300]


def scores_of(of, frames, boxes, **more):
    """Scores of a detector or a part, with distinct numbers."""
    detection = {'map': of + 0.01, 'map50': of + 0.02, 'map75': of + 0.03, 'recall50': of + 0.04}
    detection |= {'cdx': 1.254 + of, 'cdy': 2.125 + of, 'frames': frames, 'boxes': boxes}
    tracking = {'mota': -of, 'idf1': of + 0.05, 'hota': of + 0.06}
    tracking |= {'switches': 3, 'fragmentations': 4}
    return {'detection': detection, 'tracking': tracking, **more}


def scores(of, milliseconds):
    parts = [
        scores_of(of + 0.1, 2, 3, family='light', name='night', false_alarms=0.254),
        scores_of(of + 0.2, 1, 0, family='distance', name='0-20 m', false_alarms=0.0),
        scores_of(of + 0.3, 4, 7, family='distance', name='20-40 m', false_alarms=1.5),
        scores_of(of + 0.4, 5, 6, family='else', name='all', false_alarms=math.nan),
    ]
    return scores_of(of, 9, 9, parts=parts, milliseconds={'p50': milliseconds, 'p99': 99.0})


def record(name, errors):
    true = TruthFrame.of([BOX], [1])
    right = Detections(np.float32([BOX]), np.float32([0.9]))
    wrong = Detections(np.float32([[900, 100, 1200, 300]]), np.float32([0.8]))
    found = [wrong if index in errors else right for index in range(6)]
    return DriveRecord(
        name, [2.0 * index for index in range(6)], [true] * 6, {'main': found, 'other': found}
    )


class Table(HTMLParser):
    """Rows of cells, and the widths of the bars in the cells."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.bars, self.where, self.texts = [], [], None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.where = tag
        if tag == 'tr':
            self.rows.append([])
            self.bars.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
            self.bars[-1].append(dict(attrs).get('style', '').removeprefix('--v:'))

    def handle_endtag(self, tag):
        self.where = None

    def handle_data(self, data):
        if self.where in ('td', 'th'):
            self.rows[-1][-1] += data
        elif data.strip():
            self.texts.append(' '.join(data.split()))


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    records = [record('north', {1, 4}), record('south', {2})]
    of_labels = scores(0.2, 7.0)
    of_labels['tracking'] |= {'mota': math.nan, 'idf1': math.nan}
    results = [
        Results('labels', records, {'main': of_labels}),
        Results('true boxes', records[:1], {'main': scores(0.3, 8.26), 'other': scores(1.0, 2.0)}),
    ]
    asked = []

    def picture(its, index):
        asked.append((its.name, index))
        return np.full((325, 960, 3), 40 + 10 * index, np.uint8)

    path = tmp_path_factory.mktemp('page') / 'a' / 'page.html'
    write_report(
        path, 'title', 'sub', results, picture, {'fact': 'told'}, 'make it', ['Beware.'], 4
    )
    return path.read_text(encoding='utf-8'), asked


HEAD = ['mAP@Avg', 'mAP@0.5', 'mAP@0.75', 'recall', 'CDx %', 'CDy %', 'MOTA', 'IDF1', 'HOTA']
HEAD += ['switches', 'frag.']


def test_every_row_shows_its_scores(page):
    rows = Table(page[0]).rows
    labels = ['0.210', '0.220', '0.230', '0.240', '1.45', '2.33', '-', '-', '0.260', '3', '4']
    true = ['0.310', '0.320', '0.330', '0.340', '1.55', '2.42', '-0.300', '0.350', '0.360']
    other = ['1.010', '1.020', '1.030', '1.040', '2.25', '3.12', '-1.000', '1.050', '1.060']
    assert rows[:5] == [
        ['detector', *HEAD, 'ms'],
        ['main', *labels, '7.0'],
        ['detector', *HEAD, 'ms'],
        ['main', *true, '3', '4', '8.3'],
        ['other', *other, '3', '4', '2.0'],
    ]
    assert rows[5:12] == [
        ['part', 'frames', 'boxes', 'false a frame', *HEAD],
        ['light'],
        ['night', '2', '3', '0.25', *part(0.3)],
        ['distance of the vehicle'],
        ['0-20 m', '1', '0', '0.00', *part(0.4)],
        ['20-40 m', '4', '7', '1.50', *part(0.5)],
        ['else'],
    ]
    assert rows[12] == ['all', '5', '6', '-', *part(0.6)]
    assert len(rows) == 5 + 3 * 8


def part(of):
    shares = [f'{of + step:.3f}' for step in (0.01, 0.02, 0.03, 0.04)]
    tracks = [f'{-of:.3f}', f'{of + 0.05:.3f}', f'{of + 0.06:.3f}']
    return [*shares, f'{1.254 + of:.2f}', f'{2.125 + of:.2f}', *tracks, '3', '4']


def test_bar_widths_are_clipped_to_0_and_100_per_cent(page):
    bars = Table(page[0]).bars
    assert bars[1] == ['', '21.0%', '22.0%', '23.0%', '24.0%', *[''] * 4, '26.0%', *[''] * 3]
    assert bars[3][7:10] == ['0%', '35.0%', '36.0%']
    assert bars[4][1:10] == [*['100%'] * 4, '', '', '0%', '100%', '100%']


def test_cards_show_the_first_truth_with_a_defined_value(page):
    section = page[0].partition('<section class="cards">')[2].partition('</section>')[0]
    assert Table(section).texts == [
        *('0.210', 'mAP@Avg, labels', '0.220', 'mAP@0.5, labels', '0.240', 'recall, labels'),
        *('1.45', 'CDx %, labels', '-0.300', 'MOTA, true boxes', '0.350', 'IDF1, true boxes'),
        *('0.260', 'HOTA, labels'),
    ]


def test_page_counts_frames_boxes_drives_and_errors(page):
    texts = Table(page[0]).texts
    assert 'Against labels: 12 boxes in 12 frames of 2 drives' in texts
    assert 'Against true boxes: 6 boxes in 6 frames of 1 drives' in texts
    assert 'main: 9 right, 0 displaced, 3 false, 3 missed' in texts
    for text in ('title', 'sub', 'fact', 'told', 'make it', 'Beware.'):
        assert text in texts, text


def test_pictures_show_the_frames_of_their_captions(page):
    text, asked = page
    found = re.findall(r'alt="([^"]+)" src="data:image/jpeg;base64,([^"]+)"', text)
    frames = [(caption, image) for caption, image in found if ' s: ' in caption]
    assert len(frames) == len(asked) == 4
    whys = []
    for (caption, image), (name, index) in zip(frames, asked, strict=True):
        where, _, why = caption.partition(': ')
        assert where == f'{name}, {2.0 * index:.1f} s'
        whys.append(why)
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (325, 960, 3)
        assert abs(picture[-1, -1].astype(int) - (40 + 10 * index)).max() <= 3
        if why == 'many errors':
            assert (name, index) in (('north', 1), ('north', 4), ('south', 2))
    assert whys == ['drawn at random'] * 2 + ['many errors'] * 2
