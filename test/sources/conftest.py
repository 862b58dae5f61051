"""An eight-channel sound device."""

import os

import pytest

from avdet_ros.bench.virtual_device import VirtualDevice, missing_programs


@pytest.fixture
def virtual_device(monkeypatch):
    """A private sound server whose null sink is the capture device `array8`."""
    pytest.importorskip('soundfile')
    if missing := missing_programs():
        pytest.skip(f'{" and ".join(missing)} not installed: apt install pulseaudio-utils')
    with VirtualDevice() as device:
        for name, value in device.environment.items():
            monkeypatch.setitem(os.environ, name, value)
        yield device
