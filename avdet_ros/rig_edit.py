"""A copy of a rig file with other values for its microphones, its comments and order kept.

The text is edited value by value, at the places where the YAML parser found them. What the edit
made is read again and compared; a file that is written in a way that cannot be edited so (aliases,
merge keys) is written out again instead, without its comments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.files import read_bounded, write_atomically
from avdet_ros.rig import LARGEST_RIG_BYTES, load_rig, parse_rig


@dataclass(frozen=True)
class MicrophoneValues:
    """What a calibration writes of one microphone.

    Attributes:
        name: its name.
        position_m: (3,) in the array's frame.
        gain_db: how much louder its channel is than it should be.
        delay_s: how much later its channel is than it should be.
        dead: whether it is to be left out.
        comment: stands behind its entry: the uncertainty, and what was found.
    """

    name: str
    position_m: tuple[float, float, float]
    gain_db: float = 0.0
    delay_s: float = 0.0
    dead: bool = False
    comment: str = ''


def calibrated_text(
    text: str,
    microphones: Sequence[MicrophoneValues],
    yaw_deg: float | None = None,
    heading: Sequence[str] = (),
) -> str:
    """A rig file's text with other values for its microphones.

    Args:
        text: of a valid rig file.
        microphones: new values, in the file's order; channels stay.
        yaw_deg: of the array; None keeps the file's.
        heading: comment lines put before everything else.

    Returns:
        The new text: valid, and meaning exactly the new values.

    Raises:
        AvdetError: the text is not a rig file, or the new values are not those of one.
    """
    tree = yaml.safe_load(text)
    parse_rig(tree)
    _set(tree, microphones, yaw_deg)
    parse_rig(tree, 'calibrated rig')
    top = ''.join(f'# {line}\n' for line in heading)
    try:
        edited = _edit(text, microphones, yaw_deg)
        if yaml.safe_load(edited) == tree:
            return top + edited
    except (yaml.YAMLError, AttributeError, KeyError, IndexError, ValueError):
        pass  # written in a way this cannot edit: all values, no comments
    comments = ''.join(f'# {each.name}: {each.comment}\n' for each in microphones if each.comment)
    return top + comments + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)


def write_calibrated(
    path: Path,
    out: Path,
    microphones: Sequence[MicrophoneValues],
    yaw_deg: float | None = None,
    heading: Sequence[str] = (),
) -> None:
    """Write a copy of a rig file with other values for its microphones; see `calibrated_text`.

    Raises:
        AvdetError: the file cannot be read, ``out`` is the file itself or cannot be written.
    """
    if out.exists() and out.samefile(path):
        raise AvdetError(f'{out}: expected another file than the rig itself, which is kept')
    text = read_bounded(path, LARGEST_RIG_BYTES, 'rig file').decode()
    new = calibrated_text(text, microphones, yaw_deg, heading)
    with write_atomically(out) as file:
        file.write(new.encode())
    load_rig(out)


def _values(each: MicrophoneValues) -> dict[str, object]:
    """Keys and values as they stand in the file, rounded to what can be measured."""
    values: dict[str, object] = {
        'name': each.name,
        'position_m': [round(float(x), 6) + 0.0 for x in each.position_m],
        'gain_db': round(float(each.gain_db), 2) + 0.0,
        'delay_s': round(float(each.delay_s), 8) + 0.0,
        'dead': bool(each.dead),
    }
    return values


def _wanted(each: MicrophoneValues, has: Sequence[str]) -> dict[str, object]:
    """What is to be written: a default that the file does not name is left out."""
    values = _values(each)
    needless = [key for key in ('gain_db', 'delay_s', 'dead') if not values[key]]
    return {key: value for key, value in values.items() if key in has or key not in needless}


def _set(
    tree: dict[str, Any], microphones: Sequence[MicrophoneValues], yaw_deg: float | None
) -> None:
    entries = tree['array']['microphones']
    for index, (entry, each) in enumerate(zip(entries, microphones, strict=True)):
        entries[index] = {**entry, **_wanted(each, list(entry))}
    if yaw_deg is not None:
        tree['array']['yaw_deg'] = round(float(yaw_deg), 3)


def _edit(text: str, microphones: Sequence[MicrophoneValues], yaw_deg: float | None) -> str:
    """The text with the values replaced in their places."""
    array = _known(yaml.compose(text, yaml.SafeLoader), 'array')
    edits: list[tuple[int, int, str]] = []
    if yaw_deg is not None:
        turned = f'{round(float(yaw_deg), 3)}'
        node = _child(array, 'yaw_deg')
        if node is None:
            key = array.value[0][0]
            indent = ' ' * key.start_mark.column
            at = key.start_mark.index
            edits.append((at, at, f'yaw_deg: {turned}\n{indent}'))
        else:
            edits.append((node.start_mark.index, _end(node), turned))
    for entry, each in zip(_known(array, 'microphones').value, microphones, strict=True):
        last = _end(entry.value[-1][1])
        flow = bool(entry.flow_style)
        added = ''
        for key, value in _wanted(each, [k.value for k, _ in entry.value]).items():
            node = _child(entry, key)
            if node is not None:
                edits += _replacements(text, node, value)
            elif flow:
                added += f', {key}: {_yaml(value)}'
            else:
                added += f'\n{" " * entry.start_mark.column}{key}: {_yaml(value)}'
        if added:
            edits.append((last, last, added))
        if each.comment:
            edits.append(_comment(text, _end(entry) if flow else last, each.comment))
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _replacements(text: str, node: yaml.Node, value: object) -> list[tuple[int, int, str]]:
    """Edits that turn a scalar, or each of a list, into another value; none where it is equal."""
    old = node.value if isinstance(node, yaml.SequenceNode) else [node]
    edits = []
    for item, new in zip(old, value if isinstance(value, list) else [value], strict=True):
        start, end = item.start_mark.index, item.end_mark.index
        if yaml.safe_load(text[start:end]) != new:
            edits.append((start, end, _yaml(new)))
    return edits


def _comment(text: str, end: int, comment: str) -> tuple[int, int, str]:
    """An edit that puts a comment at the end of the line, after one that is there."""
    line = text.find('\n', end)
    at = len(text) if line < 0 else line
    there = text[end:at].strip()
    return at, at, f'; {comment}' if there.startswith('#') else f'  # {comment}'


def _known(node: yaml.Node | None, key: str) -> yaml.CollectionNode:
    """The mapping or list at a key that is there."""
    found = None if node is None else _child(node, key)
    if not isinstance(found, yaml.CollectionNode):
        raise ValueError(f'no {key}')
    return found


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _end(node: yaml.Node) -> int:
    """Where a value's text ends; a block's own mark lies behind comments and blank lines."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _yaml(value: object) -> str:
    if isinstance(value, float):
        return np.format_float_positional(value, trim='0')
    return yaml.safe_dump(value, default_flow_style=True).split('\n')[0]
