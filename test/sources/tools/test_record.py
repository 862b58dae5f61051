"""Recording of a device that disappears, and of very long sounds."""

from __future__ import annotations

import threading
import time

import pytest
import soundfile

from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import FileSource
from avdet_ros.sources.tools import record
from avdet_ros.sources.tools.record import record_device

RATE = 44100
SECOND_BYTES = RATE * 8 * 2


@pytest.mark.slow
def test_sound_before_the_device_disappears_is_kept(virtual_device, tmp_path):
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


@pytest.mark.slow
def test_wav_beyond_4_gib_is_written_as_rf64(virtual_device, tmp_path, monkeypatch):
    monkeypatch.setattr(record, 'LARGEST_BYTES', 1000)
    path = tmp_path / 'out.wav'
    record_device(load_rig(), DEVICE, 0.5, path)
    assert path.read_bytes()[:4] == b'RF64'
    assert soundfile.info(path).frames == FileSource(path, RATE)._frames == RATE // 2
    with pytest.raises(AvdetError, match=r'out\.aiff: expected at most 0 s .* found 0\.5 s'):
        record_device(load_rig(), DEVICE, 0.5, tmp_path / 'out.aiff')
