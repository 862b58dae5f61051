"""The former place of `training.data.labelled_frames`, for scripts that import it from here."""

from __future__ import annotations

from avdet_ros.training.data.labelled_frames import (
    FrameSet,
    LabelledFrame,
    collate,
    read_coco,
    true_frames,
)

__all__ = ['FrameSet', 'LabelledFrame', 'collate', 'read_coco', 'true_frames']
