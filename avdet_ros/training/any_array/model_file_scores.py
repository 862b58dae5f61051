"""Score a model file of contract 2 on windows of drawn arrays, run as in a detector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime

from avdet_ros.audio.features import POOL_FRAMES, FrontEnd
from avdet_ros.detection.angles import EYE_HEIGHT_M, degrees_from_boxes
from avdet_ros.detection.model_file import read_model
from avdet_ros.detection.steering import expected_coherences
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.export import Window
from avdet_ros.training.any_array.fitting.validation import FoundInWindow, scores_of
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import front_end_of
from avdet_ros.training.any_array.windows.store import ArrayStore


def topic_windows(folder: Path, azimuths_deg: np.ndarray) -> Iterator[Window]:
    """Yield windows of a set in the topic's format, with the steering of their rig files.

    Pooled frames are repeated, so pooling them again restores them.

    Args:
        folder: of a set of drawn arrays (format 3).
        azimuths_deg: (A,) the model's directions.

    Raises:
        AvdetError: a shard is of another format.
    """
    front_end, azimuths = front_end_of(folder), np.radians(azimuths_deg)
    names = ('features', 'rig_microphones_m', 'rig_array_yaw_deg', 'alive')
    for path in sorted(folder.glob('windows_*.npz')):
        with np.load(path, allow_pickle=False) as shard:
            if missing := [name for name in names if name not in shard]:
                raise AvdetError(
                    f'{path}: expected windows of drawn arrays (avdet sim windows --arrays '
                    f'drawn), found none of {", ".join(missing)}'
                )
            parts = [shard[name] for name in names]
        for features, places, yaw_deg, alive in zip(*parts, strict=True):
            repeated = np.repeat(features.astype(np.float32), POOL_FRAMES, axis=-1)
            turned = azimuths - np.radians(float(yaw_deg))
            directions = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
            steering = expected_coherences(front_end, places, directions, alive)
            yield repeated[..., : front_end.frames], steering


def file_scores(path: Path, folder: Path, progress: Progress = SILENT) -> dict[str, float]:
    """Score a model file on a set of windows, see `scores_of`.

    Args:
        path: the model, contract 2.
        folder: of windows of drawn arrays.
        progress: shows how many windows are done.

    Raises:
        AvdetError: model or windows cannot be read or do not fit.
    """
    content, contract = read_model(path)
    if contract.azimuths_deg is None:
        raise AvdetError(f'{path}: expected a model for any array, found one for one rig')
    if contract.eye_height_m != EYE_HEIGHT_M:
        raise AvdetError(
            f'{path}: avdet.eye_height_m: expected {EYE_HEIGHT_M:g} as the labels of windows, '
            f'found {contract.eye_height_m}; avdet eval bearings scores such a file'
        )
    front_end = FrontEnd(pair_count=contract.pair_count)
    store = ArrayStore(folder, SteeringTable(front_end), contract.azimuths_deg)
    if not store.refresh():
        raise AvdetError(f'{folder}: expected windows of drawn arrays, found none')
    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    found = []
    with progress.step(f'{path} on {len(store)} windows', len(store)) as advance:
        for spectrogram, steering in topic_windows(folder, contract.azimuths_deg):
            feed = {'spectrogram': spectrogram[None], 'steering': steering}
            boxes, scores, range_m = session.run(['boxes', 'scores', 'range_m'], feed)
            found.append(FoundInWindow(degrees_from_boxes(boxes), scores, range_m, boxes))
            advance()
    return scores_of(found, store)
