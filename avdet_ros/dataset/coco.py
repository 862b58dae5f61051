"""Vehicle boxes from annotations in COCO's format, as annotation tools write them in practice.

Ids may be numbers or strings; flags may be numbers, booleans or strings. Unclear entries are
left out and counted. If there are many of them, the file is refused with the position of the
first one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.dataset.vehicle_names import is_vehicle
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.quoting import brief_repr, one_line

_logger = logging.getLogger(__name__)

LARGEST_BYTES = 4 << 30
LIMIT = 0.05
"""Fraction of vehicle entries that may be unusable before the file is refused."""

_FLAGS = {'0': False, 'false': False, 'no': False, '': False, '1': True, 'true': True, 'yes': True}
_NAMED = 12


@dataclass(frozen=True)
class CocoBoxes:
    """Content of an annotation file.

    Attributes:
        boxes_px: (N, 4) float32 x_min, y_min, x_max, y_max by the file name of each picture.
        taken: number of boxes by the name of each vehicle category.
        others: names of the other categories.
        left_out: number of unusable entries by reason.
    """

    boxes_px: dict[str, np.ndarray]
    taken: dict[str, int]
    others: list[str]
    left_out: dict[str, int]

    @property
    def sentence(self) -> str:
        """Which categories count as vehicles, for the user to check."""
        taken = ', '.join(f'{name} ({count})' for name, count in self.taken.items())
        others = ', '.join(self.others[:_NAMED]) + (' ...' if len(self.others) > _NAMED else '')
        text = f'vehicles are {taken}; not {others or "any other category"}'
        for reason, count in self.left_out.items():
            text += f'; {count} left out: {reason}'
        return text


def read_coco_boxes(path: Path) -> CocoBoxes:
    """Read an annotation file.

    Crowd regions are left out; pictures without vehicles are kept as examples of background.

    Raises:
        AvdetError: it is not in COCO's format, has no vehicle category, or too many of its
            entries are unusable.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise AvdetError(f'{path}: expected annotations below 4 GiB, found more')
        tree = json.loads(path.read_bytes())
        if not isinstance(tree, dict):
            raise TypeError(f'expected an object, found {brief_repr(tree)}')
        return _Reader(path).read(tree)
    except OSError as error:
        raise AvdetError(
            f'cannot read the annotations {path}: {explain_os_error(error)}'
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AvdetError(
            f'{path}: expected annotations in the format of COCO, found {one_line(repr(error))}'
        ) from error


class _Unusable(Exception):
    """An entry that cannot be used, and why."""


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._left_out: Counter[str] = Counter()
        self._first = ''

    def read(self, tree: dict[str, Any]) -> CocoBoxes:
        names = self._categories(tree['categories'])
        vehicles = {key for key, name in names.items() if is_vehicle(name)}
        others = sorted({names[key] for key in names.keys() - vehicles})
        if not vehicles:
            raise AvdetError(
                f'{self._path}: expected a category such as car, truck, bus, van or motorcycle, '
                f'found none, but {", ".join(others[:_NAMED]) or "no categories"}'
            )
        files = self._pictures(tree['images'])
        boxes: dict[str, list[tuple[float, ...]]] = {key: [] for key in files}
        taken = Counter({names[key]: 0 for key in sorted(vehicles, key=names.__getitem__)})
        looked_at = 0
        for number, entry in enumerate(tree['annotations'] or ()):
            where = f'annotations[{number}]'
            try:
                key = _entry(entry, where, 'category_id')
                if key in names and key not in vehicles:
                    continue
                looked_at += 1
                if key not in names:
                    raise _Unusable(
                        f'{where}.category_id: expected one of categories, found {key}'
                    )
                if any(_flag(entry, where, name) for name in ('iscrowd', 'ignore')):
                    continue
                picture = _entry(entry, where, 'image_id')
                if picture not in files:
                    raise _Unusable(f'{where}.image_id: expected one of images, found {picture}')
                box = _box(entry, where)
            except _Unusable as error:
                self._leave_out(str(error))
                continue
            if box in boxes[picture]:  # written twice
                self._left_out['the same box again'] += 1
                continue
            boxes[picture].append(box)
            taken[names[key]] += 1
        self._check(looked_at, boxes, tree['images'])
        arrays: dict[str, np.ndarray] = {}
        for key, file in files.items():
            found = np.array(boxes[key], np.float32).reshape(-1, 4)
            arrays[file] = np.concatenate([arrays[file], found]) if file in arrays else found
        return CocoBoxes(arrays, dict(taken), others, dict(self._left_out))

    def _categories(self, entries: Any) -> dict[str, str]:
        names: dict[str, str] = {}
        for number, entry in enumerate(entries):
            where = f'categories[{number}]'
            try:
                key = _entry(entry, where, 'id')
            except _Unusable as error:
                raise self._refused(error) from error
            name = entry.get('name')
            if not isinstance(name, str):
                raise self._refused(f'{where}.name: expected a text, found {brief_repr(name)}')
            if key in names and is_vehicle(names[key]) != is_vehicle(name):
                raise self._refused(
                    f'{where}.id: expected a unique id, found {key} for {names[key]!r} too'
                )
            names.setdefault(key, name)
        return names

    def _pictures(self, entries: Any) -> dict[str, str]:
        files: dict[str, str] = {}
        for number, entry in enumerate(entries):
            where = f'images[{number}]'
            try:
                key = _entry(entry, where, 'id')
                file = entry.get('file_name')
                if not isinstance(file, str) or not file.strip():
                    raise _Unusable(
                        f'{where}.file_name: expected a text, found {brief_repr(file)}'
                    )
            except _Unusable as error:
                self._leave_out(str(error))
                continue
            file = file.replace('\\', '/')
            if files.setdefault(key, file) != file:
                raise self._refused(
                    f'{where}.id: expected a unique id, found {key} for {files[key]} too'
                )
        if len(files) < len(entries) * (1 - LIMIT) - 1:
            raise self._refused(self._first or 'images of the same id')
        return files

    def _leave_out(self, sentence: str) -> None:
        self._first = self._first or sentence
        self._left_out[_kind(sentence)] += 1

    def _check(
        self, looked_at: int, boxes: dict[str, list[tuple[float, ...]]], images: list[Any]
    ) -> None:
        unusable = self._left_out.total() - self._left_out['the same box again']
        if unusable > max(LIMIT * looked_at, 0 if looked_at <= 1 else 1):
            raise self._refused(f'{self._first}; {unusable} of {looked_at} entries cannot be used')
        all_boxes = [box for found in boxes.values() for box in found]
        if not all_boxes:
            _logger.warning('%s: no box of a vehicle in %d pictures', self._path, len(boxes))
            return
        if max(max(box) for box in all_boxes) <= 1:
            raise self._refused('boxes between 0 and 1: expected pixels')
        sizes = {_text(entry.get('id')): entry for entry in images if isinstance(entry, dict)}
        known = beyond = 0
        for key, found in boxes.items():
            width, height = (_number(sizes.get(key, {}).get(name)) for name in ('width', 'height'))
            if width > 0 and height > 0:
                known += len(found)
                beyond += sum(box[2] > width + 2 or box[3] > height + 2 for box in found)
        if beyond > 0.5 * known:
            raise self._refused(
                f'boxes that end outside of the pictures ({beyond} of {known}): expected x, y, '
                'width and height'
            )

    def _refused(self, reason: object) -> AvdetError:
        return AvdetError(
            f'{self._path}: expected annotations in the format of COCO, found {reason}'
        )


def _entry(entry: Any, where: str, key: str) -> str:
    """Return an id as a string, however it is written."""
    if not isinstance(entry, dict):
        raise _Unusable(f'{where}: expected an object, found {brief_repr(entry)}')
    text = _text(entry.get(key))
    if text is None:
        raise _Unusable(f'{where}.{key}: expected an id, found {brief_repr(entry.get(key))}')
    return text


def _text(value: Any) -> str | None:
    """Normalise an id: ``7``, ``7.0``, ``"7"`` and ``" 07"`` are the same."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and value.strip():
        text = value.strip()
        return str(int(text)) if text.isdecimal() and len(text) < 20 else text
    return None


def _flag(entry: dict[str, Any], where: str, key: str) -> bool:
    value = entry.get(key)
    if value is None or isinstance(value, (bool, int, float)):
        return bool(value)
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if flag is None:
        raise _Unusable(f'{where}.{key}: expected 0 or 1, found {brief_repr(value)}')
    return flag


def _box(entry: dict[str, Any], where: str) -> tuple[float, float, float, float]:
    """Return x_min, y_min, x_max, y_max in pixels, from the box or else from the outline."""
    numbers = entry.get('bbox')
    if not numbers:
        return _around(entry.get('segmentation'), where)
    if isinstance(numbers, dict):  # as some tools write it
        numbers = [numbers.get(name) for name in ('x', 'y', 'width', 'height')]
    values = [_number(value) for value in numbers] if isinstance(numbers, list) else []
    if len(values) != 4 or not all(map(math.isfinite, values)) or min(values[2:]) <= 0:
        raise _Unusable(
            f'{where}.bbox: expected x, y and a width and height above 0, '
            f'found {brief_repr(numbers)}'
        )
    x, y, width, height = values
    return x, y, x + width, y + height


def _around(outline: Any, where: str) -> tuple[float, float, float, float]:
    parts = outline if isinstance(outline, list) else []
    numbers = [_number(value) for part in parts if isinstance(part, list) for value in part]
    if len(numbers) < 6 or len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise _Unusable(f'{where}.bbox: expected four numbers, found none')
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _number(value: Any) -> float:
    """Convert a number or a numeric string; NaN for anything else."""
    try:
        return math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _kind(sentence: str) -> str:
    """Strip the entry's number from a reason, so that equal reasons are counted together."""
    place, _, reason = sentence.partition(': ')
    return f'{place.partition("]")[2].lstrip(".") or place.partition("[")[0]}: {reason}'
