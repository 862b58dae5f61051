"""Model contract: what a model declares about itself. `contract_check` compares it with the rig.

The contract is the set of ``avdet.*`` metadata keys in the ONNX file together with the names and
shapes of its inputs and outputs; `avdet_ros.detection.model_file` reads it from a file.

There are two contracts. A model of **contract 1** works only with the rig it was trained on: the
file holds the microphones, the camera and the mounting of both, and any other rig is refused. A
model of **contract 2** receives the array's geometry as an input (`avdet_ros.detection.steering`)
and outputs boxes in angles (`avdet_ros.detection.angles`). Microphone positions, yaw and camera
are free; the file holds the directions of the input and the ranges of the training rigs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from avdet_ros.audio.microphone_pairs import pair_count_of
from avdet_ros.detection.angles import EYE_HEIGHT_M
from avdet_ros.detection.mounting import Mounting, mounting_of
from avdet_ros.detection.taught_ranges import RANGE_NAMES, TaughtRanges
from avdet_ros.rig import MICROPHONES, Rig

if TYPE_CHECKING:
    import onnx

    from avdet_ros.audio.features import FrontEnd

FIXED_RIG = 1
"""Contract of a model for the one rig it was trained on."""

ANY_ARRAY = 2
"""Contract of a model that receives the array's geometry as an input."""

CONTRACT_VERSION = FIXED_RIG
"""The default contract."""

LABEL_OFFSET_S = -0.5
"""Instant at which the boxes of our models are valid, relative to the window's end: the middle of
its second."""

KEY_PREFIX = 'avdet.'
"""Prefix of every metadata key that belongs to the contract."""


@dataclass(frozen=True)
class ModelContract:
    """Inputs that a model expects and the meaning of its boxes.

    Attributes:
        sample_rate_hz: sample rate of the waveform.
        window_s: length of the window.
        n_fft: samples in a Fourier frame.
        hop_length: samples from frame to frame.
        n_mels: number of mel bands.
        features: names of the input's channels, in order.
        image_width_px: width of the camera image that the boxes refer to; None in contract 2.
        image_height_px: its height; None in contract 2.
        label_offset_s: boxes are valid at the window's end plus this; -0.5 is the centre of a
            window of one second.
        classes: names of the classes.
        microphones_m: (8, 3) float64, positions in the array's frame; None in contract 2.
        recipe: training recipe.
        data: training data.
        metrics: measured results.
        git_commit: commit of the program that exported it.
        contract_version: `FIXED_RIG` or `ANY_ARRAY`.
        mounting: contract 1: mounting of camera and array in training; None in older files,
            which do not hold it.
        azimuths_deg: contract 2: (A,) float64, directions of the input `steering` relative to the
            camera's heading.
        ranges: contract 2: ranges of the arrays and cameras in training.
        eye_height_m: contract 2: height above the road of the point from which boxes are seen,
            above or below the array's centre; None for that centre itself, as in older files.
    """

    sample_rate_hz: int
    window_s: float
    n_fft: int
    hop_length: int
    n_mels: int
    features: tuple[str, ...]
    image_width_px: int | None
    image_height_px: int | None
    label_offset_s: float
    microphones_m: np.ndarray | None
    classes: tuple[str, ...] = ('vehicle',)
    recipe: str = ''
    data: str = ''
    metrics: dict[str, Any] = field(default_factory=dict)
    git_commit: str = ''
    contract_version: int = CONTRACT_VERSION
    mounting: Mounting | None = None
    azimuths_deg: np.ndarray | None = None
    ranges: TaughtRanges | None = None
    eye_height_m: float | None = None

    @property
    def frames(self) -> int:
        """Frames in a window. They are centred, so there is one more than whole hops."""
        return 1 + round(self.sample_rate_hz * self.window_s) // self.hop_length

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one spectrogram: channels, mel bands, frames."""
        return len(self.features), self.n_mels, self.frames

    @property
    def pair_count(self) -> int:
        """Number of microphone pairs with a coherence, see `FrontEnd.pair_count`."""
        return pair_count_of(self.features)

    @property
    def input_names(self) -> list[str]:
        """Names of the model's inputs."""
        return ['spectrogram'] if self.azimuths_deg is None else ['spectrogram', 'steering']

    @property
    def output_names(self) -> list[str]:
        """Names of the model's outputs."""
        names = ['boxes', 'scores', 'labels']
        return names if self.azimuths_deg is None else [*names, 'range_m']

    @property
    def steering_shape(self) -> tuple[int, int, int] | None:
        """Shape of the input `steering`: mel bands, directions, coherences; None in contract 1."""
        if self.azimuths_deg is None:
            return None
        return self.n_mels, len(self.azimuths_deg), len(self.features) - MICROPHONES


def contract_for(
    rig: Rig, front_end: FrontEnd, label_offset_s: float, **about: Any
) -> ModelContract:
    """Return the contract of a model trained on this rig with this front end.

    Args:
        rig: the rig of the training data.
        front_end: the front end of the training data.
        label_offset_s: see `ModelContract`.
        **about: the descriptive fields: classes, recipe, data, metrics, git_commit.
    """
    return ModelContract(
        sample_rate_hz=front_end.sample_rate_hz,
        window_s=front_end.window_s,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_length,
        n_mels=front_end.n_mels,
        features=tuple(front_end.feature_names),
        image_width_px=rig.camera.width_px,
        image_height_px=rig.camera.height_px,
        label_offset_s=label_offset_s,
        microphones_m=microphones_in_array(rig),
        mounting=mounting_of(rig),
        **about,
    )


def contract_for_any_array(
    front_end: FrontEnd,
    label_offset_s: float,
    azimuths_deg: np.ndarray,
    ranges: TaughtRanges,
    **about: Any,
) -> ModelContract:
    """Return the contract of a model that receives the array's geometry as an input.

    Args:
        front_end: the front end of the training data.
        label_offset_s: see `ModelContract`.
        azimuths_deg: (A,) see `ModelContract`.
        ranges: ranges of the arrays and cameras in the training data.
        **about: the descriptive fields, as for `contract_for`.
    """
    return ModelContract(
        sample_rate_hz=front_end.sample_rate_hz,
        window_s=front_end.window_s,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_length,
        n_mels=front_end.n_mels,
        features=tuple(front_end.feature_names),
        image_width_px=None,
        image_height_px=None,
        label_offset_s=label_offset_s,
        microphones_m=None,
        contract_version=ANY_ARRAY,
        azimuths_deg=np.asarray(azimuths_deg, np.float64),
        ranges=ranges,
        eye_height_m=EYE_HEIGHT_M,
        **about,
    )


def microphones_in_array(rig: Rig) -> np.ndarray:
    """Return the microphone positions in the array's own frame, (8, 3) float64, metres."""
    yaw = math.radians(rig.array_yaw_deg)
    turn = np.array(
        [
            [math.cos(yaw), -math.sin(yaw), 0.0],
            [math.sin(yaw), math.cos(yaw), 0.0],
            [0.0, 0.0, 1.0],
        ]
    )
    # Row vectors times R apply R transposed: the inverse rotation, from base_link.
    return (rig.microphones_m - rig.array_position_m) @ turn


def write_metadata(model: onnx.ModelProto, contract: ModelContract) -> None:
    """Write a contract into an ONNX model, replacing an existing one.

    Args:
        model: changed in place.
        contract: the contract to write.
    """
    kept = [entry for entry in model.metadata_props if not entry.key.startswith(KEY_PREFIX)]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    for key, value in metadata(contract).items():
        model.metadata_props.add(key=key, value=value)


def metadata(contract: ModelContract) -> dict[str, str]:
    """Return the contract as the ``avdet.*`` keys and values of a model file."""
    values: dict[str, Any] = {
        'contract_version': contract.contract_version,
        'sample_rate': contract.sample_rate_hz,
        'window_s': contract.window_s,
        'n_fft': contract.n_fft,
        'hop_length': contract.hop_length,
        'n_mels': contract.n_mels,
        'features': json.dumps(list(contract.features)),
        'label_offset_s': contract.label_offset_s,
        'classes': json.dumps(list(contract.classes)),
        'recipe': contract.recipe,
        'data': contract.data,
        'metrics': json.dumps(contract.metrics),
        'git_commit': contract.git_commit,
    }
    if contract.azimuths_deg is not None:
        values['azimuths_deg'] = json.dumps(np.round(contract.azimuths_deg, 6).tolist())
        for name in RANGE_NAMES:
            values[name] = json.dumps([round(end, 6) for end in getattr(contract.ranges, name)])
        if contract.eye_height_m is not None:
            values['eye_height_m'] = contract.eye_height_m
    if contract.microphones_m is not None:
        values['image_width'] = contract.image_width_px
        values['image_height'] = contract.image_height_px
        values['microphones'] = json.dumps(np.round(contract.microphones_m, 6).tolist())
        if contract.mounting is not None:
            for name, value in contract.mounting.numbers().items():
                values[name] = json.dumps(np.round(value, 6).tolist())
    return {KEY_PREFIX + key: str(value) for key, value in values.items()}
