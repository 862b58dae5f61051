"""A folder of teachers' labels: whose they are, and which drives are still to be labelled."""

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
"""Beside the label files: which teachers they are of, and how a picture lies on their input."""


def read_about(folder: Path) -> dict[str, Any]:
    """What `label_drives` noted about the labels of a folder.

    Raises:
        AvdetError: nothing, or something else.
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
    """Note who labels; labels of other teachers are removed.

    Args:
        out: the folder.
        about: as it is to stand in the notes.

    Raises:
        AvdetError: it holds something else, or cannot be written.
    """
    path = out / ABOUT
    try:
        out.mkdir(parents=True, exist_ok=True)
        noted = json.loads(path.read_text(encoding='utf-8')) if path.exists() else None
        if noted == about:
            return
        old = sorted(out.glob('*.npz'))
        if old and noted is None:
            raise AvdetError(
                f'{out}: expected a new folder or labels made by avdet train label, found other '
                f'files, such as {old[0].name}'
            )
        if old:
            _logger.info('%s: labels of other teachers, %d files, are made anew', out, len(old))
        for file in old:
            file.unlink()
        path.write_text(json.dumps(about, indent=1), encoding='utf-8')
    except (OSError, ValueError) as error:
        raise AvdetError(f'cannot write the labels in {out}: {error}') from error


def skipped_in(out: Path, drive: str, frames: Sequence[layout.FrameId]) -> int | None:
    """How many frames a drive's labels leave out; None if it is still to be labelled.

    Args:
        out: folder of the labels.
        drive: its name.
        frames: all that are to be labelled.
    """
    path = out / f'{drive}.npz'
    if not path.exists():
        return None
    labels = read_labels(path, mapped=True)
    known = {*labels.ids.tolist(), *labels.skipped.tolist()}
    return len(labels.skipped) if all(frame.stamp in known for frame in frames) else None
