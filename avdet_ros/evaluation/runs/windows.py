"""Windows of one drive with their truth, in memory and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avdet_ros.detection.contract import LABEL_OFFSET_S
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.files import write_atomically
from avdet_ros.rig import Rig
from avdet_ros.simulation.conditions import TrueArray

TRUTH_OFFSETS_S = (LABEL_OFFSET_S, 0.0)
"""Instants relative to a window's end at which the truth is stored: its middle and its end."""

_FULL_SCALE = 32768


@dataclass(frozen=True)
class DriveWindows:
    """One drive's windows.

    Attributes:
        seed: seed of the drive.
        rig: contents of the vehicle's rig file.
        setting: kind of road.
        static: whether the ego vehicle stands.
        sound: (P, 8, S) int16, pieces of the drive's sound.
        piece: (W,) int64, index of the piece that each window lies in.
        first: (W,) int64, first sample of each window in its piece.
        end_s: (W,) float64, end of each window, drive time.
        truth: one frame a window, by offset from `TRUTH_OFFSETS_S`.
        array: the true array.
    """

    seed: int
    rig: Rig
    setting: str
    static: bool
    sound: np.ndarray
    piece: np.ndarray
    first: np.ndarray
    end_s: np.ndarray
    truth: dict[float, list[TruthFrame]]
    array: TrueArray

    def __len__(self) -> int:
        return len(self.end_s)

    def waveforms(self, samples: int) -> Iterator[np.ndarray]:
        """Yield each window, (8, samples) float32 in [-1, 1]."""
        for piece, first in zip(self.piece, self.first, strict=True):
            window = self.sound[piece, :, first : first + samples]
            yield np.ascontiguousarray(window, np.float32) / _FULL_SCALE


_FRAME_ARRAYS = ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db')
_ARRAY_ARRAYS = ('microphones_m', 'gain_db', 'delay_s', 'alive')


def write_drive(path: Path, windows: DriveWindows) -> None:
    """Write one drive atomically.

    Raises:
        AvdetError: the file cannot be written.
    """
    arrays = {
        'setting': np.array(windows.setting),
        'static': np.array(windows.static),
        'sound': windows.sound,
        'piece': windows.piece,
        'first': windows.first,
        'end_s': windows.end_s,
        'yaw_deg': np.array(windows.array.yaw_deg),
        **{name: getattr(windows.array, name) for name in _ARRAY_ARRAYS},
    }
    for index, offset in enumerate(TRUTH_OFFSETS_S):
        frames = windows.truth[offset]
        arrays[f'count_{index}'] = np.array([len(frame) for frame in frames], np.int64)
        for name in _FRAME_ARRAYS:
            arrays[f'{name}_{index}'] = np.concatenate([getattr(f, name) for f in frames])
    with write_atomically(path) as file:
        np.savez(file, **arrays)


def read_drive(path: Path, seed: int, rig: Rig) -> DriveWindows:
    """Read one drive.

    Args:
        path: file written by `write_drive`.
        seed: seed of the drive.
        rig: contents of the vehicle's rig file.

    Raises:
        OSError, ValueError, KeyError, EOFError, BadZipFile: the file is damaged.
    """
    with np.load(path, allow_pickle=False) as arrays:
        truth = {}
        for index, offset in enumerate(TRUTH_OFFSETS_S):
            ends = np.cumsum(arrays[f'count_{index}'])[:-1]
            columns = [np.split(arrays[f'{name}_{index}'], ends) for name in _FRAME_ARRAYS]
            truth[offset] = [TruthFrame(*frame) for frame in zip(*columns, strict=True)]
        return DriveWindows(
            seed=seed,
            rig=rig,
            setting=str(arrays['setting']),
            static=bool(arrays['static']),
            sound=arrays['sound'],
            piece=arrays['piece'],
            first=arrays['first'],
            end_s=arrays['end_s'],
            truth=truth,
            array=TrueArray(
                yaw_deg=float(arrays['yaw_deg']),
                **{name: arrays[name] for name in _ARRAY_ARRAYS},
            ),
        )
