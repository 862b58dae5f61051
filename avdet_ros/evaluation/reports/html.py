"""Report of scores as one self-contained HTML file: tables, curves, error maps and pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
import math
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.boxes.error_maps import NEAR_IOU, error_maps
from avdet_ros.evaluation.boxes.metrics import CENTRE_SCORE, MATCH_IOU, drive_hits
from avdet_ros.evaluation.reports.plots import error_maps_jpeg, precision_recall_svg
from avdet_ros.evaluation.reports.samples import choose_samples, draw_sample
from avdet_ros.evaluation.reports.tables import number
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.files import explain_os_error

Picture = Callable[[DriveRecord, int], np.ndarray]
"""The camera's picture of a frame, (H, W, 3) uint8 BGR."""

PICTURE_WIDTH_PX = 960
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 82]

_COLUMNS = (
    ('mAP@Avg', 'detection', 'map', '{:.3f}', True),
    ('mAP@0.5', 'detection', 'map50', '{:.3f}', True),
    ('mAP@0.75', 'detection', 'map75', '{:.3f}', True),
    ('recall', 'detection', 'recall50', '{:.3f}', True),
    ('CDx %', 'detection', 'cdx', '{:.2f}', False),
    ('CDy %', 'detection', 'cdy', '{:.2f}', False),
    ('MOTA', 'tracking', 'mota', '{:.3f}', True),
    ('IDF1', 'tracking', 'idf1', '{:.3f}', True),
    ('HOTA', 'tracking', 'hota', '{:.3f}', True),
    ('switches', 'tracking', 'switches', '{:d}', False),
    ('frag.', 'tracking', 'fragmentations', '{:d}', False),
)
_FAMILIES = {
    'light': 'light',
    'motion': 'ego vehicle',
    'setting': 'surroundings',
    'vehicles': 'vehicles in the frame',
    'distance': 'distance of the vehicle',
    'view': 'in the camera\u2019s view',
}


@dataclass(frozen=True)
class Results:
    """Scores against one kind of truth.

    Attributes:
        truth: name of the kind of truth.
        records: the drives.
        scores: results of `scores.score`, by detector; the report is about the first detector.
    """

    truth: str
    records: Sequence[DriveRecord]
    scores: Mapping[str, dict[str, Any]]


def write_report(
    path: str | Path,
    title: str,
    subtitle: str,
    results: Sequence[Results],
    picture: Picture,
    facts: Mapping[str, str],
    command: str = '',
    notes: Sequence[str] = (),
    pictures: int = 12,
) -> None:
    """Write the report: one file that needs no other file and no network.

    Args:
        path: the HTML file.
        title: title of the page.
        subtitle: one line below the title.
        results: one entry for each kind of truth, the most important first.
        picture: gives the picture of a frame, to draw on.
        facts: further facts by name: model, data, seeds.
        command: command that reproduces this report.
        notes: caveats of the results, one sentence each.
        pictures: number of frames to show.

    Raises:
        AvdetError: the file cannot be written.
    """
    first = results[0]
    main = next(iter(first.scores))
    shown = _pictures(first.records, main, picture, pictures)
    backdrop = next((raw for raw, _ in shown), None)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('avdet_ros', 'evaluation/reports'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template('report.html.j2').render(
        title=title,
        subtitle=subtitle,
        main=main,
        cards=_cards(results, main),
        notes=list(notes),
        columns=[{'label': label} for label, *_ in _COLUMNS],
        results=[_result(result) for result in results],
        maps=[_map(first.records, name, backdrop) for name in first.scores],
        pictures=[caption for _, caption in shown],
        facts=facts,
        command=command,
        centre_score=CENTRE_SCORE,
        match_iou=MATCH_IOU,
        near_iou=NEAR_IOU,
    )
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise AvdetError(f'cannot write the report {path}: {explain_os_error(error)}') from error


def _cards(results: Sequence[Results], main: str) -> list[dict[str, str]]:
    """Return the most important numbers, each against the first truth that defines it."""
    labels = ('mAP@Avg', 'mAP@0.5', 'recall', 'CDx %', 'MOTA', 'IDF1', 'HOTA')
    cards = []
    for label, family, key, form, _ in _COLUMNS:
        if label not in labels:
            continue
        values = [(result.truth, result.scores[main][family][key]) for result in results]
        defined = [(truth, value) for truth, value in values if math.isfinite(value)]
        truth, value = (defined or values)[0]
        suffix = f', {truth}' if len(results) > 1 else ''
        cards.append({'label': label + suffix, 'value': number(value, form)})
    return cards


def _result(result: Results) -> dict[str, Any]:
    hits = {
        name: [drive_hits(record.truth, record.detections[name]) for record in result.records]
        for name in result.scores
    }
    frames = [frame for record in result.records for frame in record.truth]
    return {
        'truth': result.truth,
        'drives': len(result.records),
        'frames': len(frames),
        'boxes': sum(len(frame) for frame in frames),
        'curves': _base64(precision_recall_svg(hits)),
        'rows': [
            {
                'name': name,
                'cells': _cells(scores),
                'milliseconds': number(scores['milliseconds']['p50'], '{:.1f}'),
                'families': _families(scores['parts']),
            }
            for name, scores in result.scores.items()
        ],
    }


def _families(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            'name': _FAMILIES.get(family, family),
            'parts': [
                {
                    'name': part['name'],
                    'frames': part['detection']['frames'],
                    'boxes': part['detection']['boxes'],
                    'false_alarms': number(part['false_alarms'], '{:.2f}'),
                    'cells': _cells(part),
                }
                for part in members
            ],
        }
        for family, members in groupby(parts, key=lambda part: part['family'])
    ]


def _cells(scores: dict[str, Any]) -> list[dict[str, Any]]:
    cells = []
    for _, family, key, form, is_share in _COLUMNS:
        value = scores[family][key]
        share = None
        if is_share and math.isfinite(value):
            share = round(100 * min(max(value, 0), 1), 1)
        cells.append({'text': number(value, form), 'share': share})
    return cells


def _map(records: Sequence[DriveRecord], name: str, backdrop: np.ndarray | None) -> dict[str, Any]:
    size = (1920, 650) if backdrop is None else backdrop.shape[1::-1]
    maps = error_maps(records, name, size)
    frames = sum(len(record.truth) for record in records)
    image = error_maps_jpeg(maps, frames, backdrop)
    return {'name': name, 'image': _base64(image), **maps.counts}


def _pictures(
    records: Sequence[DriveRecord], name: str, picture: Picture, count: int
) -> list[tuple[np.ndarray, dict[str, str]]]:
    shown = []
    for sample in choose_samples(records, name, count):
        record = records[sample.record]
        raw = picture(record, sample.index)
        drawn = draw_sample(raw, record.truth[sample.index], record.detections[name][sample.index])
        height = round(drawn.shape[0] * PICTURE_WIDTH_PX / drawn.shape[1])
        small = cv2.resize(drawn, (PICTURE_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
        why = 'drawn at random' if sample.why == 'drawn' else 'many errors'
        caption = f'{record.name}, {record.stamps_s[sample.index]:.1f} s: {why}'
        image = _base64(cv2.imencode('.jpg', small, _JPEG)[1].tobytes())
        shown.append((raw, {'caption': caption, 'image': image}))
    return shown


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')
