"""Goals for a model, compared with its results: a section of docs/hearing.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from avdet_ros.evaluation.bearing_study.rows import BOUND, CALIBRATED
from avdet_ros.evaluation.bearing_study.tables import cell_number
from avdet_ros.evaluation.bearings.scores import LEVELS_DB
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED

LOUD_DB = -6
"""Vehicles at least this loud relative to all other sound have a separate goal."""

Measure = Callable[[Mapping[str, Any]], float | None]


def loud_recall(scores: Mapping[str, Any]) -> float | None:
    """Return the recall within 3 degrees of labels from `LOUD_DB` on; None if there are none."""
    loud = [
        part
        for (low, _), part in zip(pairwise(LEVELS_DB), scores['bearings']['by_level'], strict=True)
        if low >= LOUD_DB and part['labels']
    ]
    labels = sum(part['labels'] for part in loud)
    if not labels:
        return None
    return sum(part['recall']['value'] * part['labels'] for part in loud) / labels


def _early(scores: Mapping[str, Any]) -> float | None:
    early = scores.get('early')
    return early['found'] if early else None


MEASURES: dict[str, Measure] = {
    'recall, 3°': lambda s: s['bearings']['recall']['value'],
    f'the same above {LOUD_DB} dB': loud_recall,
    'mAP@0.5': lambda s: s['detection']['map50'],
    'error, median, °': lambda s: s['bearings']['error_deg']['median'],
    'corners': _early,
}

GOALS = {
    'plain-kept': ('', (0.80, 0.92, 0.50, 0.4, None)),
    'furnished-ideal': ('', (0.72, 0.88, 0.45, 0.4, 0.85)),
    'vehicles': (CALIBRATED, (0.65, 0.82, 0.38, 0.7, None)),
}
"""By condition: suffix of the row that counts, and the goal for each of `MEASURES`."""


def goal_rows(study: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Make header and rows of the table; no rows if no model was measured on all of `GOALS`.

    Args:
        study: result of `conditions.read_study`.
    """
    measured = {key: study.get(key, {}).get('rows', {}) for key in GOALS}
    names = [
        name
        for name in measured['plain-kept']
        if knows_no_truth(name)
        and all(name + suffix in measured[key] for key, (suffix, _) in GOALS.items())
    ]
    rows = []
    for key, (suffix, goals) in GOALS.items() if names else ():
        title = study[key]['title'] + suffix
        for (label, measure), goal in zip(MEASURES.items(), goals, strict=True):
            if goal is None:
                continue
            found = (measure(measured[key][name + suffix]) for name in names)
            rows.append(
                [title, label, *(cell_number(value, '{:.3f}') for value in (goal, *found))]
            )
            title = ''
    return ['', '', 'wanted', *names], rows


def knows_no_truth(name: str) -> bool:
    """Return whether a row is a model that uses only information available on a vehicle."""
    return name not in (CONSTANT, STEERED) and not name.endswith(BOUND)
