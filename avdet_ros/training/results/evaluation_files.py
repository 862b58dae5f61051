"""The files of an evaluation in a run's folder: ``evaluation.npz`` and ``scores.json``.

``evaluation.npz`` contains, for F frames of the test drives and each available kind of truth:

==================  ============  ===============================================================
``kinds``           (T,) str      kinds of truth, as ``fused labels`` and ``true boxes``
``detectors``       (D,) str      the detectors compared, the student first

for the kind of index t, with F frames, and the detector of index d:

``t_drives``        (F,) str      drive of each frame
``t_stamps_s``      (F,) f8       its time in the drive
``t_boxes_px``      (K, 4) f4     true boxes, camera pixels
``t_frame``         (K,) i4       the frame they are in
``t_ids``           (K,) i8       identities, -1 where unknown
``t_distance_m``    (K,) f4       NaN where unknown
``t_visible``       (K,) f4       share that the camera sees, NaN where unknown
``t_d_boxes_px``    (P, 4) f4     boxes of the detector
``t_d_scores``      (P,) f4       their scores
``t_d_frame``       (P,) i4       the frame they are in
==================  ============  ===============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avdet_ros.evaluation.reports.html import Results
from avdet_ros.files import write_atomically, write_json

ARRAYS, SCORES = 'evaluation.npz', 'scores.json'


def write_arrays(results: Sequence[Results], path: Path) -> None:
    """Write truth and boxes of every frame.

    Raises:
        AvdetError: the file cannot be written.
    """
    detectors = list(results[0].scores)
    arrays: dict[str, Any] = {
        'kinds': np.array([result.truth for result in results]),
        'detectors': np.array(detectors),
    }
    for index, result in enumerate(results):
        truth = [frame for record in result.records for frame in record.truth]
        arrays[f'{index}_drives'] = np.array(
            [record.name for record in result.records for _ in record.truth]
        )
        arrays[f'{index}_stamps_s'] = np.array(
            [stamp for record in result.records for stamp in record.stamps_s]
        )
        arrays[f'{index}_boxes_px'] = _joined([frame.boxes_px for frame in truth], (0, 4))
        arrays[f'{index}_frame'] = _owners([len(frame) for frame in truth])
        for name, field in (('ids', 'ids'), ('distance_m', 'distance_m'), ('visible', 'visible')):
            values = _joined([getattr(frame, field) for frame in truth], (0,))
            arrays[f'{index}_{name}'] = values.astype(np.int64 if name == 'ids' else np.float32)
        for number, name in enumerate(detectors):
            found = [frame for record in result.records for frame in record.detections[name]]
            start = f'{index}_{number}_'
            arrays[start + 'boxes_px'] = _joined([frame.boxes_px for frame in found], (0, 4))
            arrays[start + 'scores'] = _joined([frame.scores for frame in found], (0,))
            arrays[start + 'frame'] = _owners([len(frame) for frame in found])
    with write_atomically(path) as file:
        np.savez_compressed(file, **arrays)


def write_scores(scores: dict[str, Any], path: Path) -> None:
    """Write scores as JSON; undefined ones are null.

    Raises:
        AvdetError: the file cannot be written.
    """
    write_json(path, scores)


def _joined(parts: Sequence[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([np.zeros(empty), *parts]).astype(np.float32)


def _owners(counts: Sequence[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)
