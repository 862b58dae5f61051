"""Write the files of a drive in the MAVD layout: sound, pictures, ground truth and split files."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path

import cv2
import numpy as np
import soundfile

from avdet_ros.bags.truth import RecordedTruth
from avdet_ros.dataset import layout
from avdet_ros.dataset.depth_colours import BASELINE_M, colour_coded
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Rig

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


def write_clip(out: Path, frame: layout.FrameId, clip: np.ndarray, rig: Rig) -> None:
    """Store a frame's second of sound, one lossless file per microphone.

    Args:
        out: the data set's folder.
        frame: the frame.
        clip: (samples, 8) int16 or float32.
        rig: provides the sample rate.
    """
    paths = layout.sound_paths(out, frame, '.flac')
    paths[0].parent.mkdir(exist_ok=True)
    subtype = 'PCM_16' if clip.dtype == np.int16 else 'PCM_24'
    for path, channel in zip(paths, clip.T, strict=True):
        soundfile.write(path, channel, rig.sample_rate_hz, subtype=subtype)


def write_picture(
    out: Path, frame: layout.FrameId, kind: str, image: np.ndarray, focal_px: float
) -> None:
    """Store a picture as in MAVD: JPEG, or PNG for thermal counts; depth colour-coded.

    Args:
        out: the data set's folder.
        frame: the frame.
        kind: rgb, thermal or depth.
        image: as in the bag; depth as colours, uint16 millimetres or float metres.
        focal_px: focal length of the camera, for the colours of depth.

    Raises:
        AvdetError: the image's dtype cannot be stored, or the disk is full.
    """
    if kind == 'thermal' and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if kind == 'depth' and image.dtype != np.uint8:
        metres = image.astype(np.float32) / (1000 if image.dtype == np.uint16 else 1)
        known = np.isfinite(metres) & (metres > 0)
        disparity = np.zeros_like(metres)
        np.divide(focal_px * BASELINE_M, metres, out=disparity, where=known)
        image = colour_coded(disparity)
    if kind == 'rgb' and (image.dtype != np.uint8):
        raise AvdetError(f'{frame}: rgb: expected 8 bits a channel, found {image.dtype}')
    if kind == 'thermal' and image.dtype not in (np.uint8, np.uint16):
        raise AvdetError(f'{frame}: thermal: expected 8 or 16 bits, found {image.dtype}')
    ending = '.png' if image.dtype == np.uint16 else '.jpg'
    path = layout.picture_path(out, frame, kind, ending)
    path.parent.mkdir(exist_ok=True)
    if not cv2.imwrite(str(path), image, _JPEG if ending == '.jpg' else []):
        raise AvdetError(f'cannot write {path}')


def write_truth(folder: Path, ids: Sequence[layout.FrameId], truth: RecordedTruth) -> int:
    """Write ``truth/frames.jsonl`` of a drive; return the number of frames with ground truth."""
    lines = []
    for frame in ids:
        found = truth.at(frame.stamp_ns)
        if found is not None:
            boxes, identities = found
            lines.append(
                {
                    'stamp': frame.stamp,
                    'boxes_px': boxes.round(2).tolist(),
                    'ids': identities,
                    'label': [True] * len(boxes),
                }
            )
    path = folder / 'truth' / 'frames.jsonl'
    path.parent.mkdir()
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
    return len(lines)


def write_lists(out: Path, ids: Sequence[layout.FrameId], splits: dict[str, str]) -> None:
    """Write the split files of a data set: all frames, and those by day and by night.

    Args:
        out: the data set's folder.
        ids: frames of all drives.
        splits: train, val or test for each drive.
    """
    for split in layout.SPLITS:
        of_split = [frame for frame in ids if splits[frame.drive] == split]
        if not of_split:
            continue
        layout.write_ids(layout.split_path(out, split), of_split)
        for daytime in layout.DAYTIMES:
            frames = [frame for frame in of_split if frame.is_day == (daytime == 'day')]
            if frames:
                layout.write_ids(layout.split_path(out, split, daytime), frames)
