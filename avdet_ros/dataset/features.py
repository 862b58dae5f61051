"""Features of the sound around each frame, computed once and cached next to the drives.

``<root>/features/<kind>/<drive>.npz`` (uncompressed, so that it can be mapped), for F frames:

=============  ====================  =============================================================
``ids``        (F,) str              stamps of the frames
``features``   (F, 32, 80, 44) f2    kind ``window``: `FrontEnd.compute`, mean of every 4 frames
               (F, 64, 80, 44) f2    kind ``all_pairs``: with the coherences of all pairs
               (F, 8, 80, 173) f2    kind ``log_mel``: its levels alone, dB re full scale
``skipped``    (S,) str              stamps of frames whose sound cannot be read
``front_end``  (n,) f8               rate, window, n_fft, hop, bands; gains, delays and dead
                                     microphones that were corrected, each after their number
=============  ====================  =============================================================

A file is computed again if other frames are requested. Delete it after repairing damaged sound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple
import logging
import multiprocessing
import os
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.audio.microphone_pairs import EVERY_PAIR, PAIRS
from avdet_ros.dataset import layout
from avdet_ros.dataset.skipped import Skipped
from avdet_ros.errors import AvdetError
from avdet_ros.files import map_member, write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.rig import Rig
from avdet_ros.rig_match import check_recorded_rig

_logger = logging.getLogger(__name__)

FOLDER = 'features'
PAIRS_OF_KIND = {'window': len(PAIRS), 'all_pairs': len(EVERY_PAIR), 'log_mel': len(PAIRS)}
"""Number of microphone pairs of the front end, see `FrontEnd.pair_count`; levels need none."""

KINDS = tuple(PAIRS_OF_KIND)

ONE_PROCESS = 400
"""Up to this many frames, one process is faster than starting several."""


def cache_sound(
    root: Path,
    drives: Mapping[str, Sequence[layout.FrameId]],
    kind: str,
    rig: Rig,
    progress: Progress = SILENT,
    jobs: int = 0,
) -> None:
    """Compute the features of all frames that have none yet.

    Args:
        root: the data set's folder.
        drives: frames of each drive.
        kind: one of `KINDS`.
        rig: rig that the drives must have been recorded with, if they contain a rig file.
        progress: shows frames.
        jobs: number of processes; 0: one per core if there are many frames.

    Raises:
        AvdetError: a drive has another rig, too many frames lack readable sound, or the disk is
            full.
    """
    front_end = FrontEnd.of(rig, PAIRS_OF_KIND[kind])
    for name in drives:
        check_recorded_rig(root / name / 'rig.yaml', rig)
    before = {
        name: _skipped_in(cache_path(root, kind, name), frames, front_end)
        for name, frames in drives.items()
    }
    missing = {name: drives[name] for name, count in before.items() if count is None}
    if not missing:
        return
    total = sum(map(len, missing.values()))
    _logger.info(
        '%s: features of %d frames of %d drives', root / FOLDER / kind, total, len(missing)
    )
    skipped = Skipped('features', sum(map(len, drives.values())))
    skipped.recall(sum(count or 0 for count in before.values()))
    jobs = jobs or (1 if total < ONE_PROCESS else min(os.cpu_count() or 1, len(missing)))
    with progress.step('features', total) as advance:

        def done(name: str, broken: list[str]) -> None:
            for reason in broken:
                skipped.add(reason)
            advance(len(missing[name]))

        if jobs == 1:
            for name, frames in sorted(missing.items()):
                done(name, write_features(root, name, frames, kind, front_end))
        else:
            # Spawned, not forked: the parent has torch threads.
            context = multiprocessing.get_context('spawn')
            with ProcessPoolExecutor(jobs, context) as pool:
                waiting = {
                    pool.submit(write_features, root, name, frames, kind, front_end): name
                    for name, frames in sorted(missing.items())
                }
                for future in as_completed(waiting):
                    done(waiting[future], future.result())
    skipped.close()


def write_features(
    root: Path, drive: str, frames: Sequence[layout.FrameId], kind: str, front_end: FrontEnd
) -> list[str]:
    """Compute one drive's file.

    Returns:
        Reasons why frames were left out, one sentence each.

    Raises:
        AvdetError: the disk is full.
    """
    features, ids, skipped, reasons = [], [], [], []
    for frame in frames:
        try:
            waveform = layout.read_sound(root, frame, front_end.sample_rate_hz)
        except AvdetError as error:
            skipped.append(frame.stamp)
            reasons.append(f'frame {frame}: {error}')
            continue
        if kind == 'log_mel':
            computed = front_end.log_mel(waveform)
        else:
            computed = pool_frames(front_end.compute(waveform))
        features.append(computed.astype(np.float16))
        ids.append(frame.stamp)
    with write_atomically(cache_path(root, kind, drive)) as file:
        np.savez(
            file,
            ids=np.array(ids),
            features=np.stack(features) if features else np.zeros((0, 0, 0, 0), np.float16),
            skipped=np.array(skipped, 'U64'),
            front_end=_numbers(front_end),
        )
    return reasons


def map_features(root: Path, kind: str, drive: str) -> tuple[dict[str, int], np.ndarray]:
    """Return the index of each stamp in a drive's file, and the features, memory-mapped.

    Raises:
        AvdetError: the file is missing or damaged.
    """
    path = cache_path(root, kind, drive)
    try:
        with np.load(path, allow_pickle=False) as file:
            places = {str(stamp): index for index, stamp in enumerate(file['ids'])}
        return places, map_member(path, 'features')
    except Exception as error:  # numpy passes on any error of zipfile
        raise AvdetError(
            f'{path}: expected features of a drive, found {one_line(error)}'
        ) from error


def _numbers(front_end: FrontEnd) -> np.ndarray:
    """Serialise a front end to numbers, each tuple after its length, so that equality is exact."""
    numbers: list[float] = []
    for item in astuple(front_end):
        numbers += [len(item), *item] if isinstance(item, tuple) else [item]
    return np.array(numbers, np.float64)


def cache_path(root: Path, kind: str, drive: str) -> Path:
    """Return the path of a drive's file."""
    return root / FOLDER / kind / f'{drive}.npz'


def _skipped_in(path: Path, frames: Sequence[layout.FrameId], front_end: FrontEnd) -> int | None:
    """Number of frames that a drive's file leaves out; None if it has to be computed."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            skipped = file['skipped'].tolist()
            known = {*file['ids'].tolist(), *skipped}
            same = np.array_equal(file['front_end'], _numbers(front_end))
    except Exception:  # a damaged cache is computed again
        return None
    return len(skipped) if same and all(frame.stamp in known for frame in frames) else None
