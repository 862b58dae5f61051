"""Read recipes with keys under former names; each renamed key is reported in one sentence.

Kind ``mm_distillnet`` was a second training system with its own keys; ``data`` meant the number of
windows in one kind and the part of the data set in the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.training.recipes.parts import MODALITIES

Report = Callable[[str], None]

OLD_KIND = 'mm_distillnet'
_METHOD: dict[str, dict[str, Any]] = {
    'teachers': {'modalities': list(MODALITIES)},
    'pretext': {'epochs': 10},
    'transfer': {'loss': 'mta'},
}
"""Defaults of kind ``mm_distillnet`` for what the recipe did not set."""


def renew_student(tree: dict[str, Any], where: str, report: Report) -> dict[str, Any]:
    """Return a student's recipe with its keys under their present names, and teachers named.

    Args:
        tree: the recipe without its kind, or with kind `OLD_KIND`; not changed.
        where: the file, for messages.
        report: receives a sentence for each key with an old name.

    Raises:
        AvdetError: a key is present under its old and its new name.
    """
    tree = {key: dict(item) if isinstance(item, dict) else item for key, item in tree.items()}
    if tree.pop('kind', None) == OLD_KIND:
        report(
            f'{where}: kind: {OLD_KIND} is now student with labels: teachers, '
            'pretext.epochs: 10 and transfer.loss: mta'
        )
        _rename_data(tree, 'subset', where, report)
        tree.setdefault('labels', 'teachers')
        for part, values in _METHOD.items():
            if isinstance(section := tree.setdefault(part, {}), dict):
                tree[part] = {**values, **section}
    elif 'data' in tree:
        named = tree['data'] if isinstance(tree['data'], dict) else {}
        subset = {'daytime', 'motion'} & set(named)
        _rename_data(tree, 'subset' if subset else 'windows', where, report)
    if 'model' in tree and 'student' not in tree:
        report(f'{where}: model is now student.model')
        tree['student'] = {'model': tree.pop('model')}
    transfer = tree.get('transfer')
    if isinstance(transfer, dict) and transfer.get('boxes') in ('truth', 'teachers'):
        report(f'{where}: transfer.boxes is now labels')
        tree['labels'] = transfer.pop('boxes')
    if tree.get('labels') == 'teachers':
        teachers = tree.setdefault('teachers', {})
        if isinstance(teachers, dict) and not teachers.get('labels'):
            teachers.setdefault('modalities', list(MODALITIES))
    return tree


def renew_comparison(tree: dict[str, Any], where: str, report: Report) -> dict[str, Any]:
    """Apply `renew_student` to the student of a comparison."""
    if isinstance(tree.get('student'), dict):
        return {**tree, 'student': renew_student(tree['student'], f'{where}: student', report)}
    return tree


def _rename_data(tree: dict[str, Any], name: str, where: str, report: Report) -> None:
    if 'data' not in tree:
        return
    if name in tree:
        raise AvdetError(f'{where}: expected {name} or its old name data, found both')
    report(f'{where}: data is now {name}')
    tree[name] = tree.pop('data')
