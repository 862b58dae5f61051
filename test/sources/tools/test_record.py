"""A device that dies while it is recorded."""

from __future__ import annotations

import threading
import time

import pytest
import soundfile

from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.tools.record import record_device

RATE = 44100
SECOND_BYTES = RATE * 8 * 2


def test_sound_before_the_device_died_is_kept(virtual_device, tmp_path):
    path = tmp_path / 'out.wav'
    part = tmp_path / '.out.wav.part'

    def unplug():
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if part.exists() and part.stat().st_size > SECOND_BYTES:
                break
            time.sleep(0.05)
        virtual_device.kill()

    threading.Thread(target=unplug, daemon=True).start()
    with pytest.raises(AvdetError, match=f"sound device '{DEVICE}' has") as error:
        record_device(load_rig(), DEVICE, 60.0, path)
    sound, rate = soundfile.read(path)
    assert (rate, sound.shape[1]) == (RATE, 8)
    assert RATE * 0.9 < len(sound) < RATE * 60
    assert f'{path} holds the {len(sound) / RATE:.1f} s before' in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ['out.wav']
