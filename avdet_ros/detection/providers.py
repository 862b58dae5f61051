"""ONNX Runtime's execution providers: their names, and what each one needs."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from importlib.metadata import PackageNotFoundError, distribution
import io

import onnxruntime

from avdet_ros.errors import AvdetError

PROVIDERS = {
    'tensorrt': 'TensorrtExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'cpu': 'CPUExecutionProvider',
}
"""Execution providers by short name, preferred first."""

CPU = PROVIDERS['cpu']


def load_cuda() -> None:
    """Load CUDA's libraries from NVIDIA's wheels, which ONNX Runtime does not search."""
    # It prints every library that it does not find; the resulting provider is enough to know.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def both_installed() -> bool:
    """Whether both ONNX Runtime packages are installed, of which one overwrites the other."""
    try:
        for name in ('onnxruntime', 'onnxruntime-gpu'):
            distribution(name)
    except PackageNotFoundError:
        return False
    return True


def provider_names(providers: Sequence[str] | None) -> list[str]:
    """Return ONNX Runtime's names of providers given by short or long name.

    Raises:
        AvdetError: a name is unknown.
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
