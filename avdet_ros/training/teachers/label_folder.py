"""A folder of teachers' labels: which teachers made them, and which drives are still missing."""

from __future__ import annotations

from collections.abc import Sequence
import json
import logging
from pathlib import Path
from typing import Any

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import read_labels
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.quoting import one_line

_logger = logging.getLogger(__name__)

ABOUT = 'labels.json'
"""File next to the label files that records the teachers and how pictures lie on their input."""


def read_about(folder: Path) -> dict[str, Any]:
    """Read what `label_drives` recorded about the labels of a folder.

    Raises:
        AvdetError: the record is missing or not valid.
    """
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding='utf-8'))
        height, width = (int(side) for side in about['image_size'])
        return {
            'teachers': {
                str(name): str(fingerprint) for name, fingerprint in about['teachers'].items()
            },
            'image_size': (height, width),
            'crop': bool(about['crop']),
        }
    except OSError as error:
        raise AvdetError(
            f'cannot read {path}: {explain_os_error(error)}; avdet train label makes such a folder'
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AvdetError(
            f'{path}: expected notes of avdet train label, found {one_line(repr(error))}'
        ) from error


def begin_labels(out: Path, about: dict[str, Any]) -> None:
    """Record which teachers label, and remove labels of other teachers.

    Args:
        out: the folder.
        about: content of the record.

    Raises:
        AvdetError: the folder holds other files, or cannot be written.
    """
    path = out / ABOUT
    try:
        out.mkdir(parents=True, exist_ok=True)
        recorded = json.loads(path.read_text(encoding='utf-8')) if path.exists() else None
        if recorded == about:
            return
        old = sorted(out.glob('*.npz'))
        if old and recorded is None:
            raise AvdetError(
                f'{out}: expected a new folder or labels made by avdet train label, found other '
                f'files, such as {old[0].name}'
            )
        if old:
            _logger.info('%s: labels of other teachers, %d files, are made again', out, len(old))
        for file in old:
            file.unlink()
        path.write_text(json.dumps(about, indent=1), encoding='utf-8')
    except (OSError, ValueError) as error:
        raise AvdetError(f'cannot write the labels in {out}: {error}') from error


def skipped_in(out: Path, drive: str, frames: Sequence[layout.FrameId]) -> int | None:
    """Count the frames that a drive's labels leave out; None if it is still to be labelled.

    Args:
        out: folder of the labels.
        drive: name of the drive.
        frames: all frames to label.
    """
    path = out / f'{drive}.npz'
    if not path.exists():
        return None
    labels = read_labels(path, mapped=True)
    known = {*labels.ids.tolist(), *labels.skipped.tolist()}
    return len(labels.skipped) if all(frame.stamp in known for frame in frames) else None
