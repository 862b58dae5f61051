"""Convert a checkpoint of the authors' program to a teacher or a model file of this package.

Layer names are mapped, and "car" is extracted from the twenty classes. The network keeps its
original input format as a setting: decibels for sound, depth colours without mean and deviation,
thermal counts stretched frame by frame, zero padding in the pyramid's pools.
"""

from __future__ import annotations

from collections.abc import Mapping
import logging
from pathlib import Path

import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import LABEL_OFFSET_S, contract_for
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.data.camera_frames import MODALITIES
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.efficientdet.network import EfficientDetector, read_state
from avdet_ros.training.efficientdet.released import rename_released
from avdet_ros.training.fitting.fit import save_weights
from avdet_ros.training.networks.calibrated import StudentDetector
from avdet_ros.training.networks.paper import AnchorStudent, PaperStudent
from avdet_ros.training.results.export import export
from avdet_ros.training.teachers.base import TeacherRecipe
from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher, save_teacher

_logger = logging.getLogger(__name__)

SOUND = 'sound'
"""The modality of the authors' student."""

CHANNELS = {**MODALITIES, SOUND: MICROPHONES}

WIDTHS = {64: 'd0', 88: 'd1', 112: 'd2', 160: 'd3', 224: 'd4', 288: 'd5'}
"""EfficientDet size by pyramid width; larger sizes are left out because they share a width."""

STUDENT, WEIGHTS = 'student.onnx', 'student.pt'


def convert_checkpoint(
    path: Path, modality: str, out: Path, rig: Rig, side_px: int = 768, crop: bool = True
) -> Path:
    """Write a released network in this package's format.

    Args:
        path: checkpoint of the authors' program.
        modality: rgb, depth, thermal for a teacher; sound for a student.
        out: folder; receives ``teacher.pt`` and ``teacher.json``, or ``student.onnx`` and
            ``student.pt``.
        rig: rig of the student's recordings: its camera's size and its microphones go into the
            file.
        side_px: side of the square input.
        crop: the network was trained on the paper's columns only.

    Returns:
        The file to use.

    Raises:
        AvdetError: the modality is unknown, or the checkpoint is not a released network of it.
    """
    if modality not in CHANNELS:
        raise AvdetError(
            f'modality: expected one of {", ".join(CHANNELS)}, found {modality!r:.40}'
        )
    state = rename_released(read_state(path), str(path))
    config_name = f'tf_efficientdet_{_size_of(state, path)}'
    found = _channels_of(state, path)
    if found != CHANNELS[modality]:
        fitting = ' or '.join(name for name, count in CHANNELS.items() if count == found)
        raise AvdetError(
            f'{path}: expected a network of {CHANNELS[modality]} channels for {modality}, found '
            f'{found}{f": a network for {fitting}" if fitting else ""}'
        )
    out.mkdir(parents=True, exist_ok=True)
    if modality == SOUND:
        return _write_student(state, config_name, out, rig, (side_px, side_px), crop, path.name)
    recipe = TeacherRecipe(
        modality,
        config_name,
        (side_px, side_px),
        crop=crop,
        scaling='released',
        zero_padded_pools=True,
    )
    detector = EfficientDetector(config_name, found, (side_px, side_px), zero_padded_pools=True)
    _load(detector, state, path)
    save_teacher(EfficientDetTeacher(detector, modality, crop=crop), recipe, out)
    return out / 'teacher.pt'


def _write_student(
    state: Mapping[str, Tensor],
    config_name: str,
    out: Path,
    rig: Rig,
    image_size: tuple[int, int],
    crop: bool,
    source: str,
) -> Path:
    student = PaperStudent(config_name, image_size, scaling='released')
    _load(student.detector, state, out / source)
    camera = rig.camera
    size_px = (camera.width_px, camera.height_px)
    adapter = AnchorStudent(student, picture_area(image_size, *size_px, crop), size_px)
    detector = StudentDetector(adapter)
    contract = contract_for(
        rig,
        FrontEnd.of(rig),
        LABEL_OFFSET_S,
        recipe="the authors' program of MM-DistillNet",
        data=f'taught elsewhere; converted from {source}',
    )
    save_weights(out / WEIGHTS, student.detector.network.state_dict())
    export(detector, contract, out / STUDENT)
    return out / STUDENT


def _load(detector: EfficientDetector, state: Mapping[str, Tensor], path: Path) -> None:
    own = detector.network.state_dict()
    for name in (*own, *state):
        value, layer = state.get(name), own.get(name)
        if value is None or layer is None or value.shape != layer.shape:
            expected = 'no such layer' if layer is None else str(tuple(layer.shape))
            found = 'none' if value is None else str(tuple(value.shape))
            raise AvdetError(f'{path}: layer {name}: expected {expected}, found {found}')
    with torch.no_grad():
        detector.network.load_state_dict(dict(state))


def _size_of(state: Mapping[str, Tensor], path: Path) -> str:
    layer = state.get('fpn.cell.0.fnode.0.after_combine.conv.conv_pw.weight')
    width = None if layer is None else int(layer.shape[0])
    if width not in WIDTHS:
        widths = ', '.join(map(str, WIDTHS))
        raise AvdetError(f'{path}: expected a pyramid of width {widths}, found {width}')
    return WIDTHS[width]


def _channels_of(state: Mapping[str, Tensor], path: Path) -> int:
    stem = state.get('backbone.conv_stem.weight')
    if stem is None:
        raise AvdetError(f'{path}: expected the first layer of a network, found none')
    return int(stem.shape[1])
