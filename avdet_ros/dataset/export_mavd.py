"""Export of drives in the form that the original MM-DistillNet program reads, for comparisons.

Its loader opens pictures under ``.jpg`` names and detects the format from the content, so a 16-bit
PNG under such a name is read with all its counts. It gets sound from ``.mp3`` files, eight per
frame, through its own program ``mp3_to_pkl.py``, which finds nothing below a folder whose path
contains the word "drive".
"""

from __future__ import annotations

from collections.abc import Iterable
import io
from pathlib import Path
import shutil

import cv2
import numpy as np
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.progress import SILENT, Progress

JPEG_QUALITY = 95
MP3_COMPRESSION = 0.1
"""Compression level of libsndfile: 0 is the highest bit rate, 1 the lowest."""


def export_mavd(root: Path, out: Path, progress: Progress = SILENT) -> int:
    """Write every listed frame of a data set, and the lists; existing files are kept.

    Args:
        root: a data set in the layout of `avdet_ros.dataset.layout`.
        out: folder for the copy.
        progress: shows frames.

    Returns:
        Number of frames in the copy.

    Raises:
        AvdetError: ``root`` is not a data set, the path of ``out`` contains "drive", too many
            frames are unreadable, or the disk is full.
    """
    if not layout.is_dataset(root):
        raise AvdetError(f'{root}: expected a data set with train_all.txt, found none')
    if 'drive' in str(out.resolve()):
        raise AvdetError(
            f'{out.resolve()}: expected a path without the word "drive", below which the '
            "authors' program looks for single drives and finds no sound"
        )
    lists = sorted(path for split in layout.SPLITS for path in root.glob(f'{split}_*.txt'))
    frames = sorted({frame for path in lists for frame in layout.read_ids(path)})
    skipped = Skipped(f'export of {root}', len(frames))
    left_out = set()
    with progress.step('frames', len(frames)) as advance:
        for frame in frames:
            try:
                _pictures(root, out, frame)
                _sound(root, out, frame)
            except AvdetError as error:
                skipped.add(error)
                left_out.add(frame)
            advance()
    skipped.close()
    for path in lists:
        kept = [frame for frame in layout.read_ids(path) if frame not in left_out]
        out.mkdir(parents=True, exist_ok=True)
        layout.write_ids(out / path.name, kept)
    return len(frames) - len(left_out)


def _pictures(root: Path, out: Path, frame: layout.FrameId) -> None:
    for modality in layout.PICTURES:
        source = layout.picture_path(root, frame, modality)
        target = layout.picture_path(out, frame, modality, '.jpg')
        if target.exists():
            continue
        picture = layout.read_picture(root, frame, modality)
        if source.suffix == '.jpg' or modality == 'thermal':
            with source.open('rb') as file, write_atomically(target) as copy:
                shutil.copyfileobj(file, copy)
            continue
        made, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not made:
            raise AvdetError(f'{source}: expected a picture that JPEG can hold, found another')
        with write_atomically(target) as file:
            file.write(data.tobytes())


def _sound(root: Path, out: Path, frame: layout.FrameId) -> None:
    targets = layout.sound_paths(out, frame, '.mp3')
    if all(path.exists() for path in targets):
        return
    for path, data in zip(targets, _encoded(layout.read_sound(root, frame)), strict=True):
        with write_atomically(path) as file:
            file.write(data)


def _encoded(channels: Iterable[np.ndarray]) -> Iterable[bytes]:
    for channel in channels:
        buffer = io.BytesIO()
        soundfile.write(
            buffer,
            channel,
            layout.SAMPLE_RATE_HZ,
            format='MP3',
            compression_level=MP3_COMPRESSION,
        )
        yield buffer.getvalue()
