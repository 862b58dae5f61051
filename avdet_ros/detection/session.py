"""A trained model in ONNX Runtime: one spectrogram in, boxes in camera pixels out."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from avdet_ros.detection.boxes import Detections, clip_boxes
from avdet_ros.detection.contract import check
from avdet_ros.detection.model_file import read_model
from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line
from avdet_ros.rig import Rig

if TYPE_CHECKING:
    from avdet_ros.audio.features import FrontEnd

PROVIDERS = {
    'tensorrt': 'TensorrtExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'cpu': 'CPUExecutionProvider',
}
"""What a model may run on, by short name, the preferred first."""

_CPU = PROVIDERS['cpu']
_SCORE_SLACK = 1e-5
"""Sums of float32 rounding on a GPU may leave [0, 1] by a hair."""

_logger = logging.getLogger(__name__)


class Detector:
    """Finds vehicles in one window of features.

    Attributes:
        path: the model's file.
        sha256: hexadecimal digest of the file's bytes.
        size_bytes: of the file.
        contract: what the model says about itself.
        provider: the ONNX Runtime provider in use now, e.g. ``CPUExecutionProvider``.
        notes: sentences about providers that were wanted and not got, oldest first; each is
            logged as a warning too.
    """

    def __init__(
        self,
        model_path: str | Path,
        rig: Rig,
        front_end: FrontEnd,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        """Read, check, load and warm up a model.

        Args:
            model_path: an ONNX file that fulfils the contract.
            rig: the vehicle's rig; its camera's size scales the boxes.
            front_end: the front end that computes the spectrograms.
            providers: short names of `PROVIDERS` or ONNX Runtime's names, preferred first; None
                takes all of `PROVIDERS`. What the installed ONNX Runtime lacks is passed over.
            threads: of one inference; None leaves it to ONNX Runtime.

        Raises:
            AvdetError: the file is bad or does not fit the vehicle, a provider is unknown, or
                no provider can run the model.
        """
        self.path = Path(model_path)
        self.notes: list[str] = []
        self._wanted = provider_names(providers)
        if threads is not None and not 1 <= threads <= 1024:
            raise AvdetError(f'threads: expected a whole number from 1 to 1024, found {threads}')
        self._threads = threads
        content, self.contract = read_model(self.path)
        check(self.contract, rig, front_end, where=self.path)
        self._content = content
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.size_bytes = len(content)
        camera = rig.camera
        self._scale = np.array([camera.width_px, camera.height_px] * 2, np.float32)
        self._session, self.provider = self._open(self._wanted)

    def detect(self, spectrogram: np.ndarray) -> Detections:
        """Find vehicles in one window.

        Args:
            spectrogram: (channels, n_mels, frames) float32 as `FrontEnd.compute` gives it.

        Returns:
            Boxes in pixels, clipped to the image, best first. Boxes wholly outside the image
            are left out.

        Raises:
            AvdetError: the spectrogram has another shape or is not finite, or the model's
                outputs break the contract.
        """
        spectrogram = np.asarray(spectrogram)
        if spectrogram.shape != self.contract.input_shape:
            raise AvdetError(
                f'spectrogram: expected shape {self.contract.input_shape} as {self.path} asks, '
                f'found {spectrogram.shape}'
            )
        spectrogram = np.ascontiguousarray(spectrogram, np.float32)
        if not np.isfinite(spectrogram).all():
            raise AvdetError('spectrogram: expected finite numbers, found NaN or infinity')
        boxes, scores, labels = self._run(spectrogram)
        self._check_outputs(boxes, scores, labels)
        camera_boxes = clip_boxes(boxes * self._scale, int(self._scale[0]), int(self._scale[1]))
        inside = np.all(camera_boxes[:, 2:] > camera_boxes[:, :2], axis=1)
        return Detections(camera_boxes[inside], np.clip(scores[inside], 0, 1))

    def _run(self, spectrogram: np.ndarray) -> list[np.ndarray]:
        feed = {'spectrogram': spectrogram[None]}
        names = ['boxes', 'scores', 'labels']
        try:
            return self._session.run(names, feed)
        except Exception as error:  # ONNX Runtime's errors share no base class but Exception
            if self.provider == _CPU:
                raise AvdetError(f'{self.path} cannot run: {one_line(error)}') from error
            self._note(
                f'{self.provider} failed while running ({one_line(error)}): falling back to {_CPU}'
            )
        self._session, self.provider = self._open([_CPU])
        return self._run(spectrogram)

    def _open(self, wanted: Sequence[str]) -> tuple[onnxruntime.InferenceSession, str]:
        available = onnxruntime.get_available_providers()
        order = [name for name in wanted if name in available]
        if len(order) < len(wanted) and wanted != list(PROVIDERS.values()):
            missing = ', '.join(name for name in wanted if name not in available)
            self._note(f'{missing}: not in this ONNX Runtime, which has {", ".join(available)}')
        if _CPU not in order:
            order.append(_CPU)
        while order:
            try:
                session = self._make_session(order)
                got = session.get_providers()[0]
                # A provider whose libraries are missing is dropped by ONNX Runtime itself.
                if got != order[0]:
                    self._note(f'{order[0]} cannot be used here: running on {got}')
                blank = np.zeros((1, *self.contract.input_shape), np.float32)
                for _ in range(2):  # the first run allocates, the second runs as all others do
                    session.run(None, {'spectrogram': blank})
            except Exception as error:
                if order[0] == _CPU:
                    raise AvdetError(f'{self.path} cannot be loaded: {one_line(error)}') from error
                following = order[1]
                self._note(
                    f'{order[0]} cannot run {self.path} ({one_line(error)}): trying {following}'
                )
                order = order[1:]
            else:
                return session, got
        raise AssertionError('the CPU provider either works or raises')

    def _make_session(self, order: list[str]) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self._threads:
            options.intra_op_num_threads = self._threads
        # Spinning threads win microseconds and eat the cores that capture and tracker need.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        return onnxruntime.InferenceSession(self._content, options, providers=order)

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        _logger.warning(sentence)

    def _check_outputs(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
        count = len(scores) if scores.ndim == 1 else -1
        if boxes.shape != (count, 4) or labels.shape != (count,):
            raise self._output_error(
                'boxes, scores, labels',
                'shapes (N, 4), (N,), (N,)',
                f'{boxes.shape}, {scores.shape}, {labels.shape}',
            )
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise self._output_error('boxes and scores', 'finite numbers', 'NaN or infinity')
        if count and not -_SCORE_SLACK <= scores.min() <= scores.max() <= 1 + _SCORE_SLACK:
            span = f'{scores.min():g} to {scores.max():g}'
            raise self._output_error('scores', 'numbers from 0 to 1', span)
        if np.any(np.diff(scores) > 0):
            raise self._output_error('scores', 'descending order', 'another order')
        if count and (labels.min() < 0 or labels.max() >= len(self.contract.classes)):
            expected = f'numbers of the {len(self.contract.classes)} classes'
            raise self._output_error('labels', expected, f'{labels.min()} to {labels.max()}')

    def _output_error(self, name: str, expected: str, found: str) -> AvdetError:
        return AvdetError(f'{self.path}: output {name}: expected {expected}, found {found}')


def provider_names(providers: Sequence[str] | None) -> list[str]:
    """ONNX Runtime's names of providers given by short or long name.

    Raises:
        AvdetError: a name is neither.
    """
    if not providers:
        return list(PROVIDERS.values())
    long_names = {name.lower(): name for name in onnxruntime.get_all_providers()}
    names = []
    for provider in providers:
        name = PROVIDERS.get(provider.lower()) or long_names.get(provider.lower())
        if name is None:
            known = ', '.join(PROVIDERS)
            raise AvdetError(f'providers: expected some of {known}, found {provider!r}')
        names.append(name)
    return list(dict.fromkeys(names))
