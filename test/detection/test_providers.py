from importlib.metadata import PackageNotFoundError

import pytest

from avdet_ros.detection import providers
from avdet_ros.detection.providers import PROVIDERS, both_installed, provider_names
from avdet_ros.errors import AvdetError


def test_provider_names_accepts_short_and_full_names():
    assert provider_names(None) == list(PROVIDERS.values())
    assert provider_names(['CPU', 'CPUExecutionProvider']) == ['CPUExecutionProvider']
    with pytest.raises(AvdetError, match="expected some of tensorrt, cuda, cpu, found 'tpu'"):
        provider_names(['tpu'])


@pytest.mark.parametrize('missing', [None, 'onnxruntime', 'onnxruntime-gpu'])
def test_both_installed_is_true_only_for_both_packages(monkeypatch, missing):
    def distribution(name):
        if name == missing:
            raise PackageNotFoundError(name)

    monkeypatch.setattr(providers, 'distribution', distribution)
    assert both_installed() == (missing is None)
