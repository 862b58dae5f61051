"""What ONNX Runtime may run a model on: which names there are, and what each one needs."""

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
"""What a model may run on, by short name, the preferred first."""

CPU = PROVIDERS['cpu']


def load_cuda() -> None:
    """Load CUDA's libraries from NVIDIA's wheels, where ONNX Runtime does not look by itself."""
    # It prints what it does not find; which provider is got says enough.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def both_installed() -> bool:
    """Whether two packages that hold the same module, one overwriting the other, are installed."""
    try:
        for name in ('onnxruntime', 'onnxruntime-gpu'):
            distribution(name)
    except PackageNotFoundError:
        return False
    return True


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
