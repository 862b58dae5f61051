"""Copy a rig file with new values for its microphones, keeping its comments and order.

The text is edited value by value, at the positions reported by the YAML parser. The result is read
again and compared. A file that cannot be edited in this way (aliases, merge keys) is instead
written from its values, without its comments.
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
    """Values that a calibration writes for one microphone.

    Attributes:
        name: its name.
        position_m: (3,) in the array's frame.
        gain_db: how much louder its channel is than it should be.
        delay_s: how much later its channel is than it should be.
        dead: whether to ignore it.
        comment: comment after its entry, with uncertainties and findings.
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
    """Return a rig file's text with new values for its microphones.

    Args:
        text: text of a valid rig file.
        microphones: new values, in the file's order; channels stay.
        yaw_deg: yaw of the array; None keeps the file's.
        heading: comment lines to insert at the top.

    Returns:
        The new text, a valid rig file with exactly the new values.

    Raises:
        AvdetError: the text is not a rig file, or the new values are invalid.
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
        pass  # the text cannot be edited: write all values without comments
    comments = ''.join(
        f'# {microphone.name}: {microphone.comment}\n'
        for microphone in microphones
        if microphone.comment
    )
    return top + comments + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)


def write_calibrated(
    path: Path,
    out: Path,
    microphones: Sequence[MicrophoneValues],
    yaw_deg: float | None = None,
    heading: Sequence[str] = (),
) -> None:
    """Write a copy of a rig file with new values for its microphones; see `calibrated_text`.

    Raises:
        AvdetError: the file cannot be read, or ``out`` is the file itself or cannot be written.
    """
    if out.exists() and out.samefile(path):
        raise AvdetError(f'{out}: expected another file than the rig itself, which is kept')
    text = read_bounded(path, LARGEST_RIG_BYTES, 'rig file').decode()
    new = calibrated_text(text, microphones, yaw_deg, heading)
    with write_atomically(out) as file:
        file.write(new.encode())
    load_rig(out)


def _values(microphone: MicrophoneValues) -> dict[str, object]:
    """Return keys and values for the file, rounded to the precision of measurements."""
    values: dict[str, object] = {
        'name': microphone.name,
        'position_m': [round(float(x), 6) + 0.0 for x in microphone.position_m],
        'gain_db': round(float(microphone.gain_db), 2) + 0.0,
        'delay_s': round(float(microphone.delay_s), 8) + 0.0,
        'dead': bool(microphone.dead),
    }
    return values


def _values_to_write(microphone: MicrophoneValues, keys: Sequence[str]) -> dict[str, object]:
    """Return the values to write; defaults are left out if the file does not contain their key."""
    values = _values(microphone)
    defaults = [key for key in ('gain_db', 'delay_s', 'dead') if not values[key]]
    return {key: value for key, value in values.items() if key in keys or key not in defaults}


def _set(
    tree: dict[str, Any], microphones: Sequence[MicrophoneValues], yaw_deg: float | None
) -> None:
    entries = tree['array']['microphones']
    for index, (entry, microphone) in enumerate(zip(entries, microphones, strict=True)):
        entries[index] = {**entry, **_values_to_write(microphone, list(entry))}
    if yaw_deg is not None:
        tree['array']['yaw_deg'] = round(float(yaw_deg), 3)


def _edit(text: str, microphones: Sequence[MicrophoneValues], yaw_deg: float | None) -> str:
    """Return the text with the values replaced in place."""
    array = _existing(yaml.compose(text, yaml.SafeLoader), 'array')
    edits: list[tuple[int, int, str]] = []
    if yaw_deg is not None:
        yaw_text = f'{round(float(yaw_deg), 3)}'
        node = _child(array, 'yaw_deg')
        if node is None:
            key = array.value[0][0]
            indent = ' ' * key.start_mark.column
            at = key.start_mark.index
            edits.append((at, at, f'yaw_deg: {yaw_text}\n{indent}'))
        else:
            edits.append((node.start_mark.index, _end(node), yaw_text))
    for entry, microphone in zip(_existing(array, 'microphones').value, microphones, strict=True):
        last = _end(entry.value[-1][1])
        flow = bool(entry.flow_style)
        added = ''
        for key, value in _values_to_write(microphone, [k.value for k, _ in entry.value]).items():
            node = _child(entry, key)
            if node is not None:
                edits += _replacements(text, node, value)
            elif flow:
                added += f', {key}: {_yaml(value)}'
            else:
                added += f'\n{" " * entry.start_mark.column}{key}: {_yaml(value)}'
        if added:
            edits.append((last, last, added))
        if microphone.comment:
            edits.append(_comment(text, _end(entry) if flow else last, microphone.comment))
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _replacements(text: str, node: yaml.Node, value: object) -> list[tuple[int, int, str]]:
    """Return edits that replace a scalar or the items of a list, except where they are equal."""
    old = node.value if isinstance(node, yaml.SequenceNode) else [node]
    edits = []
    for item, new in zip(old, value if isinstance(value, list) else [value], strict=True):
        start, end = item.start_mark.index, item.end_mark.index
        if yaml.safe_load(text[start:end]) != new:
            edits.append((start, end, _yaml(new)))
    return edits


def _comment(text: str, end: int, comment: str) -> tuple[int, int, str]:
    """Return an edit that adds a comment at the end of the line, after any existing comment."""
    line = text.find('\n', end)
    at = len(text) if line < 0 else line
    existing = text[end:at].strip()
    return at, at, f'; {comment}' if existing.startswith('#') else f'  # {comment}'


def _existing(node: yaml.Node | None, key: str) -> yaml.CollectionNode:
    """Return the mapping or list at an existing key."""
    found = None if node is None else _child(node, key)
    if not isinstance(found, yaml.CollectionNode):
        raise ValueError(f'no {key}')
    return found


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _end(node: yaml.Node) -> int:
    """Return where a value's text ends; a block's end mark is after comments and blank lines."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _yaml(value: object) -> str:
    if isinstance(value, float):
        return np.format_float_positional(value, trim='0')
    return yaml.safe_dump(value, default_flow_style=True).split('\n')[0]
