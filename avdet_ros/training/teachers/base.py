"""Teachers: detectors that see. What one is asked for, whatever network it has.

A teacher of one's own is one file here, or in another package: a subclass of `Teacher` with a
``name``, decorated with ``@TEACHERS.register``. A recipe names it as ``teachers.model``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from avdet_ros.dataset.layout import FrameId
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.data.labelled_frames import LabelledFrame

TEACHER_FILE = 'teacher.pt'
"""In the folder of a teacher that is ready."""


@dataclass(frozen=True)
class TeacherRecipe:
    """How a teacher is built and fitted.

    Attributes:
        modality: rgb, depth or thermal.
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        image_size: height and width of its input; the paper's is (768, 768).
        anchor_scale: smallest anchor in strides of its level; the paper's is 4.
        crop: it sees the paper's columns only, see `canvas_for`.
        epochs: passes over the frames.
        batch: frames a step.
        learning_rate: AdamW's; it falls to 0 along a cosine.
        seed: of weights, order and flips.
        scaling: of its pictures, see `camera_frames.SCALINGS`.
        zero_padded_pools: of its pyramid, see `EfficientDetector`.
        classes: kinds of vehicle that it tells apart, see `EfficientDetector`.
        bfloat16: compute with half the digits where there is no GPU, which halves the time on CPUs
            that have ``avx512_bf16``.
    """

    modality: str
    config_name: str = 'tf_efficientdet_d2'
    image_size: tuple[int, int] = (768, 768)
    anchor_scale: float = 4.0
    crop: bool = True
    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-3
    seed: int = 0
    scaling: str = 'own'
    zero_padded_pools: bool = False
    classes: int = 1
    bfloat16: bool = False


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher sees in one frame.

    Attributes:
        boxes: (N, 4) float32 in pixels of its input.
        scores: (N,) float32, best first.
        attention: P3..P7, each (H, W) float32.
        embedding: (5, C) float32, each level's features averaged over positions.
        features: (C, h, w) float32 of P5.
    """

    boxes: np.ndarray
    scores: np.ndarray
    attention: list[np.ndarray]
    embedding: np.ndarray
    features: np.ndarray


class Teacher(ABC):
    """A detector that gives boxes, scores and feature maps.

    `training.teachers.labelling.label_drives` asks whatever has these; all else takes labels from
    files and does not know whose they are.

    Attributes:
        name: in recipes.
        modality: rgb, depth or thermal.
        image_size: height and width of its input, pixels.
        crop: it sees the paper's columns only, see `canvas_for`.
        score: boxes below it are left out.
        scaling: of its pictures, see `camera_frames.SCALINGS`.
        fingerprint: tells its labels from those of other teachers, for example a hash of its
            weights.
    """

    name: ClassVar[str]
    modality: str
    image_size: tuple[int, int]
    crop: bool
    score: float
    scaling: str = 'own'
    fingerprint: str

    @abstractmethod
    def predict(self, pictures: Tensor) -> list[TeacherOutput]:
        """Look at (B, channels, height, width) network inputs."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, score: float) -> Teacher:
        """A teacher that is ready, on the device it shall run on.

        Args:
            folder: has `TEACHER_FILE`.
            score: boxes below it are left out.

        Raises:
            AvdetError: a file is missing or does not fit.
        """

    @classmethod
    @abstractmethod
    def fit(
        cls,
        recipe: TeacherRecipe,
        train: Sequence[LabelledFrame],
        val: Sequence[LabelledFrame],
        folder: Path,
        taught_by: Sequence[FrameId] = (),
        progress: Progress = SILENT,
    ) -> Teacher:
        """Teach a teacher, or go on where a killed run stopped.

        Args:
            recipe: how.
            train: frames to learn from; of other drives than the student's.
            val: frames that choose the epoch.
            folder: gets `TEACHER_FILE` at the end.
            taught_by: frames of the drives that no student of this teacher may learn from.
            progress: shows how far it is.

        Raises:
            AvdetError: no frames, a folder that was begun otherwise, or a loss that is not a
                number.
        """
