from __future__ import annotations

from itertools import pairwise

from avdet_ros.evaluation.bearing_study.goals import GOALS, MEASURES, goal_rows, loud_recall
from avdet_ros.evaluation.bearings.scores import LEVELS_DB


def scores(recall: float, labels: int = 10) -> dict:
    parts = [
        {'labels': labels, 'recall': {'value': recall + 0.01 * number}}
        for number, _ in enumerate(pairwise(LEVELS_DB))
    ]
    return {
        'bearings': {
            'recall': {'value': recall},
            'by_level': parts,
            'error_deg': {'median': 0.52},
        },
        'detection': {'map50': 0.3},
        'early': {'found': 0.25},
    }


def study(name: str = 'one') -> dict:
    return {
        key: {
            'title': key,
            'rows': {'SRP-PHAT': scores(0.2), name + suffix: scores(0.6)},
        }
        for key, (suffix, _) in GOALS.items()
    }


def test_goal_rows_compare_model_scores_with_goals():
    header, rows = goal_rows(study())
    assert header == ['', '', 'wanted', 'one']
    # The lowest two of five levels lie below -6 dB.
    loud = '.630'
    assert rows[:4] == [
        ['plain-kept', 'recall, 3°', '.800', '.600'],
        ['', 'the same above -6 dB', '.920', loud],
        ['', 'mAP@0.5', '.500', '.300'],
        ['', 'error, median, °', '.400', '.520'],
    ]
    assert [row[1:] for row in rows if row[1] == 'corners'] == [['corners', '.850', '.250']]
    assert [row[0] for row in rows if row[0]][-1] == 'vehicles, calibrated'
    wanted = [goal for _, goals in GOALS.values() for goal in goals if goal is not None]
    assert len(rows) == len(wanted) < len(GOALS) * len(MEASURES)


def test_goal_rows_skip_partly_measured_and_true_geometry_models():
    its = study()
    its['plain-kept']['rows'] |= {'one, true geometry': scores(0.7), 'other': scores(0.5)}
    assert goal_rows(its)[0] == ['', '', 'wanted', 'one']
    del its['vehicles']
    assert goal_rows(its) == (['', '', 'wanted'], [])
    assert goal_rows({}) == (['', '', 'wanted'], [])


def test_loud_recall_ignores_levels_without_labels():
    its = scores(0.6)
    for number, part in enumerate(its['bearings']['by_level']):
        if number > 2:
            part |= {'labels': 0, 'recall': {'value': None}}
    assert abs(loud_recall(its) - 0.62) < 1e-9
    assert loud_recall(scores(0.6, labels=0)) is None
