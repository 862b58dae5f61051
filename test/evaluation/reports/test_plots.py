"""Curves have the right values: the SVG's coordinates, read relative to its axes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from avdet_ros.evaluation.boxes.metrics import IOU_THRESHOLDS, DriveHits
from avdet_ros.evaluation.reports.plots import COLOURS, precision_recall_svg

SVG = '{http://www.w3.org/2000/svg}'
LINK = '{http://www.w3.org/1999/xlink}href'


def hits_of(scores, right_to, boxes):
    """A drive's boxes, each right up to a given IoU."""
    right_to = np.array(right_to)
    hits = right_to[None] >= IOU_THRESHOLDS[:, None] - 1e-9
    return DriveHits(np.array(scores), hits, boxes)


def numbers(text):
    return np.array([float(number) for number in re.findall(r'-?\d+(?:\.\d+)?', text)])


class Panel:
    """Lines and dots of one pair of axes, as (colour, (N, 2) points between 0 and 1)."""

    def __init__(self, group):
        texts = [''.join(text.itertext()).strip() for text in group.iter(f'{SVG}text')]
        self.texts = [text for text in texts if not re.fullmatch(r'[\d.]+', text)]
        lines = list(group.iter(f'{SVG}path'))
        corners = numbers(lines[0].get('d')).reshape(-1, 2)
        low, high = corners.min(axis=0), corners.max(axis=0)
        self.lines, self.dots = [], []

        def place(points):
            x, y = ((points - low) / (high - low)).T
            return np.stack([x, 1.02 * (1 - y)], axis=1)

        colour = re.compile('stroke: (' + '|'.join(COLOURS) + ')')
        for part in group.iter(f'{SVG}g'):
            if not part.get('id', '').startswith('line2d'):
                continue
            for path in part.findall(f'{SVG}path'):
                stroke = colour.search(path.get('style', ''))
                if stroke and 'clip-path' in path.attrib:
                    self.lines.append((stroke[1], place(numbers(path.get('d')).reshape(-1, 2))))
            for use in part.iter(f'{SVG}use'):
                stroke = colour.search(use.get('style', ''))
                if stroke:
                    its = np.array([[float(use.get('x')), float(use.get('y'))]])
                    self.dots.append((stroke[1], place(its)[0]))


@pytest.fixture(scope='module')
def panels():
    first = [
        hits_of([0.9, 0.6, 0.2], [0.95, 0.0, 0.6], 4),
        hits_of([0.8, 0.1], [0.7, 0.95], 1),
    ]
    # All its scores are below the one that the dot marks.
    second = [hits_of([0.25, 0.05], [0.0, 0.8], 2)]
    root = ElementTree.fromstring(precision_recall_svg({'first': first, 'second': second}))
    groups = [group for group in root.iter(f'{SVG}g') if group.get('id', '').startswith('axes')]
    return [Panel(group) for group in groups]


def test_plot_has_one_panel_per_iou_and_one_line_per_detector(panels):
    assert [panel.texts[:2] for panel in panels] == [['recall', 'precision']] * 2
    assert [[t for t in panel.texts if 'IoU' in t] for panel in panels] == [
        ['IoU 0.5'],
        ['IoU 0.75'],
    ]
    assert [{'first', 'second'} <= set(panel.texts) for panel in panels] == [False, True]
    for panel in panels:
        assert [colour for colour, _ in panel.lines] == [*COLOURS[:2]]


def test_lines_match_hand_calculated_recall_and_precision(panels):
    """By score: .9 right up to IoU .95, .8 to .7, .6 wrong, .2 right to .6, .1 to .95."""
    recall, right = np.array([1, 2, 2, 3, 4]) / 5, np.array([1, 2, 2, 3, 4])
    (_, line), (_, other) = panels[0].lines
    np.testing.assert_allclose(line, np.stack([recall, right / [1, 2, 3, 4, 5]], 1), atol=2e-3)
    np.testing.assert_allclose(other, [[0, 0], [0.5, 0.5]], atol=2e-3)
    right = np.array([1, 1, 1, 1, 2])
    expected = np.stack([right / 5, right / [1, 2, 3, 4, 5]], axis=1)
    # Points on a straight line between their neighbours may be omitted.
    for place in panels[1].lines[0][1]:
        assert np.abs(expected - place).max(axis=1).min() < 2e-3


def test_dot_marks_the_last_score_above_one_third(panels):
    for panel, expected in zip(panels, ([0.4, 2 / 3], [0.2, 1 / 3]), strict=True):
        ((colour, place),) = panel.dots
        assert colour == COLOURS[0]
        np.testing.assert_allclose(place, expected, atol=2e-3)


def test_long_curve_is_thinned_to_1500_points_and_keeps_both_ends():
    scores = np.linspace(1, 0, 4000)
    drive = hits_of(scores, np.where(np.arange(4000) % 3 == 0, 1.0, 0.0), 2000)
    text = precision_recall_svg({'long': [drive]}).decode()
    root = ElementTree.fromstring(text)
    group = next(g for g in root.iter(f'{SVG}g') if g.get('id') == 'axes_1')
    ((_, line),) = Panel(group).lines
    assert 100 < len(line) <= 1500
    np.testing.assert_allclose(line[0], [1 / 2000, 1], atol=2e-3)
    np.testing.assert_allclose(line[-1], [1334 / 2000, 1334 / 4000], atol=2e-3)
