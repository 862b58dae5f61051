"""A model file in ONNX Runtime, on the first execution provider that works.

What cannot be used is never fatal while the CPU can run the model: it becomes a note, in one
sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import contextlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from avdet_ros.detection.providers import (
    CPU,
    PROVIDERS,
    both_installed,
    load_cuda,
    provider_names,
)
from avdet_ros.errors import AvdetError
from avdet_ros.files import make_private_folder
from avdet_ros.quoting import one_line

_logger = logging.getLogger(__name__)


class FallbackSession:
    """Runs a model, and moves on to the next provider when one fails.

    Attributes:
        session: ONNX Runtime's own session.
        provider: the ONNX Runtime provider in use now, e.g. ``CPUExecutionProvider``.
        notes: sentences about requested providers that cannot be used, oldest first; each is
            logged as a warning too.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        blank: Mapping[str, np.ndarray],
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        tensorrt_cache: str | Path | None = None,
    ) -> None:
        """Load the model and run it twice.

        Args:
            path: the model's file, for messages.
            content: bytes of the file. They were checked, and the file may change meanwhile.
            blank: inputs of the model, to warm it up.
            providers: see `avdet_ros.detection.session.Detector`.
            threads: the same.
            tensorrt_cache: the same.

        Raises:
            AvdetError: a provider is unknown, the number of threads is out of range, or no
                provider can run the model.
        """
        self.notes: list[str] = []
        self._requested = provider_names(providers)
        if threads is not None and not 1 <= threads <= 1024:
            raise AvdetError(f'threads: expected a whole number from 1 to 1024, found {threads}')
        self._path, self._content, self._blank = path, content, dict(blank)
        self._threads = threads
        self._tensorrt_cache = Path(tensorrt_cache) if tensorrt_cache else None
        self._open(self._usable())

    def run(self, outputs: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Run the model once, on the CPU if the current provider fails.

        Args:
            outputs: names of the model's outputs to return.
            feed: the model's inputs by name.

        Raises:
            AvdetError: the model cannot run on the CPU.
        """
        try:
            return self.session.run(outputs, feed)
        except Exception as error:  # ONNX Runtime's errors share no base class but Exception
            if self.provider == CPU:
                raise AvdetError(f'{self._path} cannot run: {one_line(error)}') from error
            self._note(
                f'{self.provider} failed while running ({one_line(error)}): falling back to {CPU}'
            )
        self._open([CPU])
        return self.run(outputs, feed)

    @property
    def _by_request(self) -> bool:
        """Whether the user asked for more than the default."""
        return self._requested != list(PROVIDERS.values()) or self._caches

    @property
    def _caches(self) -> bool:
        return self._tensorrt_cache is not None and PROVIDERS['tensorrt'] in self._requested

    def _usable(self) -> list[str]:
        """Return the requested providers that are installed, and the CPU; note what is missing."""
        available = onnxruntime.get_available_providers()
        missing = [name for name in self._requested if name not in available]
        if missing and self._by_request:
            unused = ''
            if self._caches and PROVIDERS['tensorrt'] in missing:
                unused = f'; tensorrt_cache {self._tensorrt_cache} is not used'
            self._note(
                f'{", ".join(missing)}: not in this ONNX Runtime, which has '
                f'{", ".join(available)}{unused}'
            )
        if PROVIDERS['cuda'] in missing and both_installed():
            self._note(
                'onnxruntime and onnxruntime-gpu are both installed, and one has overwritten the '
                'other: uninstall both, then install onnxruntime-gpu alone'
            )
        usable = [name for name in self._requested if name in available]
        return usable if CPU in usable else [*usable, CPU]

    def _open(self, order: list[str]) -> None:
        """Open a session on the first of some providers that can run the model."""
        if order[0] != CPU:
            load_cuda()
        for index, name in enumerate(order):
            try:
                session = self._make_session(order[index:])
                provider = session.get_providers()[0]
                # A provider whose libraries are missing is dropped by ONNX Runtime itself.
                if provider != name:
                    sentence = f'{name} cannot be used here: running on {provider}'
                    # If nothing was requested, CUDA without TensorRT is no problem.
                    if self._by_request or provider == CPU:
                        self._note(sentence)
                    else:
                        _logger.info(sentence)
                for _ in range(2):  # the first run allocates, the second runs like all later ones
                    session.run(None, self._blank)
            except Exception as error:
                if name == CPU:
                    raise AvdetError(
                        f'{self._path} cannot be loaded: {one_line(error)}'
                    ) from error
                self._note(
                    f'{name} cannot run {self._path} ({one_line(error)}): '
                    f'trying {order[index + 1]}'
                )
            else:
                self.session, self.provider = session, provider
                return
        raise AssertionError('the CPU provider either works or raises')

    def _make_session(self, order: list[str]) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self._threads:
            options.intra_op_num_threads = self._threads
        # Spinning threads save microseconds but occupy cores that capture and tracker need.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        providers = [self._with_options(name) for name in order]
        # ONNX Runtime prints five lines on a missing provider; we report one sentence.
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            session = onnxruntime.InferenceSession(self._content, options, providers=providers)
        if printed.getvalue():
            _logger.debug(one_line(printed.getvalue()))
        return session

    def _with_options(self, provider: str) -> str | tuple[str, dict[str, Any]]:
        """A provider, with TensorRT's cache if there is one."""
        cache = self._tensorrt_cache
        if provider != PROVIDERS['tensorrt'] or cache is None:
            return provider
        try:
            make_private_folder(cache)
        except AvdetError as error:
            self._note(f'tensorrt_cache: {error}: engines are built at each start')
            return provider
        return provider, {
            'trt_engine_cache_enable': True,
            'trt_engine_cache_path': str(cache),
            'trt_timing_cache_enable': True,
            'trt_timing_cache_path': str(cache),
        }

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        _logger.warning(sentence)
