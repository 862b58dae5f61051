"""A trained model in ONNX Runtime: one spectrogram in, boxes in camera pixels out.

A model for any array (contract 2) also receives the steering of the rig's array for the vehicle's
speed and the air temperature. The steering is computed when the detector is created, and again
when the rig, the speed or the temperature changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import hashlib
import logging
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.microphone_pairs import of_first_pairs
from avdet_ros.detection.angles import degrees_from_boxes, to_pixels
from avdet_ros.detection.boxes import LEAST_IN_IMAGE, Detections, clip_boxes, inside_share
from avdet_ros.detection.contract import FIXED_RIG, ModelContract
from avdet_ros.detection.contract_check import check, remarks
from avdet_ros.detection.fallback_session import FallbackSession
from avdet_ros.detection.model_file import read_model
from avdet_ros.detection.moving_steering import USUAL_AIR_C, MovingSteering
from avdet_ros.detection.output_check import check_outputs, check_ranges
from avdet_ros.detection.steering import heading_rad
from avdet_ros.errors import AvdetError
from avdet_ros.paths import found_or_shipped
from avdet_ros.rig import Rig

_logger = logging.getLogger(__name__)


class Detector:
    """Finds vehicles in one window of features.

    Attributes:
        path: the model's file.
        sha256: hexadecimal digest of the file's bytes.
        size_bytes: of the file.
        contract: what the model declares.
        front_end: the front end that computes the spectrograms.
        rig_notes: sentences about the rig, where it is outside a model's training ranges; each
            is logged as a warning too.
    """

    def __init__(
        self,
        model_path: str | Path,
        rig: Rig,
        front_end: FrontEnd | None = None,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        tensorrt_cache: str | Path | None = None,
    ) -> None:
        """Read, check, load and warm up a model.

        Args:
            model_path: an ONNX file that fulfils the contract.
            rig: the vehicle's rig; boxes are in pixels of its camera.
            front_end: the front end that computes the spectrograms; None: as the model requires.
            providers: short names of `PROVIDERS` or ONNX Runtime's names, preferred first; None:
                all of `PROVIDERS`. Those that the installed ONNX Runtime lacks are skipped.
            threads: threads for one inference; None leaves it to ONNX Runtime.
            tensorrt_cache: folder in which TensorRT keeps the engines that it builds, so that
                only the first start takes minutes; None or '' keeps none.

        Raises:
            AvdetError: the file is invalid or does not fit the vehicle, a provider is unknown,
                or no provider can run the model.
        """
        self.path = found_or_shipped(model_path)
        self.rig_notes: list[str] = []
        content, self.contract = read_model(self.path)
        self.use_rig(rig, front_end)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.size_bytes = len(content)
        blank = self._view.feed(np.zeros(self.contract.input_shape, np.float32))
        self._session = FallbackSession(
            self.path, content, blank, providers, threads, tensorrt_cache
        )

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of the provider in use now, e.g. ``CPUExecutionProvider``."""
        return self._session.provider

    @property
    def provider_notes(self) -> list[str]:
        """Sentences about requested providers that cannot be used, oldest first."""
        return self._session.notes

    @property
    def notes(self) -> list[str]:
        """All notes for the user, on providers and rig."""
        return [*self.provider_notes, *self.rig_notes]

    def use_rig(self, rig: Rig, front_end: FrontEnd | None = None) -> None:
        """Switch to another rig or a new calibration, without loading the model again.

        Later windows use the new array; a window that is being processed still uses the old one.
        It takes some 15 ms.

        Args:
            rig: the vehicle's rig from now on.
            front_end: the front end that computes the spectrograms from now on, as above.

        Raises:
            AvdetError: the model does not fit; the previous rig stays in use.
        """
        front_end = front_end or FrontEnd.of(rig, self.contract.pair_count)
        check(self.contract, rig, front_end, where=self.path)
        self.front_end = front_end
        self._view = _View.of(self.contract, rig, front_end)
        notes = remarks(self.contract, rig)
        if self.contract.contract_version == FIXED_RIG:
            # Logged only: older files, which do not hold the mounting, may well be right.
            for sentence in notes:
                _logger.warning('%s: %s', self.path, sentence)
            return
        for sentence in notes:
            if sentence not in self.rig_notes:
                _logger.warning('%s: %s', self.path, sentence)
        self.rig_notes = notes

    @property
    def steered(self) -> bool:
        """Whether the model receives the array's steering, for the vehicle's speed and the air."""
        return self.contract.azimuths_deg is not None

    def prepare(self, ahead_mps: float, air_c: float = USUAL_AIR_C) -> bool:
        """Compute one missing steering for a neighbouring speed, if any; takes some 15 ms.

        Args:
            ahead_mps: current speed of the vehicle.
            air_c: temperature of the air.

        Returns:
            Whether one was computed.
        """
        steering = self._view.steering
        return steering is not None and steering.prepare(ahead_mps, air_c)

    def detect(
        self,
        spectrogram: np.ndarray,
        beyond_image: bool = False,
        ahead_mps: float = 0.0,
        air_c: float = USUAL_AIR_C,
    ) -> Detections:
        """Find vehicles in one window.

        Args:
            spectrogram: (channels, n_mels, frames) float32 from `FrontEnd.compute`, with the
                model's pairs of microphones or more.
            beyond_image: also return boxes outside the image, if the model detects vehicles
                beyond it (contract 2). Boxes wholly outside are not clipped.
            ahead_mps: speed of the vehicle in the middle of the window, negative backwards; 0
                if unknown. A model of contract 1 uses neither speed nor temperature.
            air_c: temperature of the air, degrees Celsius.

        Returns:
            Boxes in pixels, clipped to the image, best first. Boxes outside the image are left
            out unless requested. For contract 2 these are all boxes with less than
            `LEAST_IN_IMAGE` of their area in the image: labels have the same limit, and such a
            model was also trained on vehicles beyond the image.

        Raises:
            AvdetError: the spectrogram has another shape or is not finite, speed or temperature
                is out of range, or the model's outputs break the contract.
        """
        spectrogram = of_first_pairs(np.asarray(spectrogram), len(self.contract.features))
        if spectrogram.shape != self.contract.input_shape:
            expected, actual = self.contract.input_shape, spectrogram.shape
            hint = '; node capture makes what its parameter model asks for'
            words = f'spectrogram: expected shape {expected} as {self.path} asks, found {actual}'
            raise AvdetError(words + (hint if actual[:1] != expected[:1] else ''))
        spectrogram = np.ascontiguousarray(spectrogram, np.float32)
        if not np.isfinite(spectrogram).all():
            raise AvdetError('spectrogram: expected finite numbers, found NaN or infinity')
        view = self._view
        feed = view.feed(spectrogram, ahead_mps, air_c)
        boxes, scores, labels, *ranges = self._session.run(self.contract.output_names, feed)
        check_outputs(self.path, len(self.contract.classes), boxes, scores, labels)
        if ranges:
            check_ranges(self.path, ranges[0], len(scores))
        azimuth_rad = view.azimuth_rad(boxes) if ranges else None
        boxes, width_px, height_px = view.in_pixels(boxes, ranges)
        camera_boxes = clip_boxes(boxes, width_px, height_px)
        inside = np.all(camera_boxes[:, 2:] > camera_boxes[:, :2], axis=1)
        range_m = ranges[0] if ranges else None
        if ranges and not beyond_image:
            inside &= inside_share(boxes, width_px, height_px) >= LEAST_IN_IMAGE
        elif ranges:
            # Boxes outside the image keep their position; boxes behind the camera have none.
            camera_boxes = np.where(inside[:, None], camera_boxes, boxes)
            inside = np.all(camera_boxes[:, 2:] > camera_boxes[:, :2], axis=1)
        found = Detections(camera_boxes, np.clip(scores, 0, 1), range_m, azimuth_rad)
        return found.only(inside)


@dataclass(frozen=True)
class _View:
    """What a rig contributes to the model's inputs and to the conversion of boxes to pixels.

    It is replaced as a whole, so that each window is computed with one rig.
    """

    rig: Rig
    steering: MovingSteering | None
    eye_height_m: float | None = None

    @classmethod
    def of(cls, contract: ModelContract, rig: Rig, front_end: FrontEnd) -> _View:
        if contract.azimuths_deg is None:
            return cls(rig, None)
        front_end = replace(front_end, pair_count=contract.pair_count)
        steering = MovingSteering(rig, front_end, contract.azimuths_deg)
        return cls(rig, steering, contract.eye_height_m)

    def feed(
        self, spectrogram: np.ndarray, ahead_mps: float = 0.0, air_c: float = USUAL_AIR_C
    ) -> dict[str, np.ndarray]:
        """Return the model's inputs for one spectrogram."""
        feed = {'spectrogram': spectrogram[None]}
        if self.steering is None:
            return feed
        return feed | {'steering': self.steering.at(ahead_mps, air_c)}

    def azimuth_rad(self, boxes: np.ndarray) -> np.ndarray:
        """(N,) float32 bearings in base_link of the centres of a model's boxes in angles."""
        azimuth = np.radians(degrees_from_boxes(boxes)[:, 0]) + heading_rad(self.rig.camera)
        return ((azimuth + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)

    def in_pixels(
        self, boxes: np.ndarray, ranges: list[np.ndarray]
    ) -> tuple[np.ndarray, int, int]:
        """Return boxes in pixels, not clipped, and the image's width and height."""
        width_px, height_px = self.rig.camera.width_px, self.rig.camera.height_px
        if ranges:
            boxes_px = to_pixels(boxes, ranges[0][:, 1], self.rig, self.eye_height_m)
            return boxes_px, width_px, height_px
        return boxes * np.array([width_px, height_px] * 2, np.float32), width_px, height_px
