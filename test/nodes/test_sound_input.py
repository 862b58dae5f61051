"""The sound thread outlives whatever its source does."""

from __future__ import annotations

import time

import numpy as np
import pytest
import soundfile

from avdet_ros.audio.file import FileSource
from avdet_ros.audio.sources import SourceLost
from avdet_ros.nodes.sound_input import SoundInput

pytestmark = pytest.mark.ros

RATE_HZ = 44100


class LooseCable(FileSource):
    """A file that is lost once, and whose driver fails twice before it opens again."""

    starts = 0

    def start(self):
        self.starts += 1
        if self.starts in (2, 3):
            raise OSError('the driver has stumbled')
        super().start()

    def read(self, timeout_s):
        if self.starts == 1:
            raise SourceLost(f'{self.name} has gone')
        return super().read(timeout_s)


def test_an_error_of_the_driver_while_reopening_does_not_end_the_thread(tmp_path, wait):
    samples = np.ones((RATE_HZ, 8), np.int16)
    soundfile.write(tmp_path / 'drive.wav', samples, RATE_HZ, subtype='PCM_16')
    source = LooseCable(tmp_path / 'drive.wav', RATE_HZ)
    log, faults, blocks = [], set(), []
    sound = SoundInput(source, time.time, blocks.append, lambda: None, log.append, lambda: True)
    sound.start()
    try:
        wait(lambda: faults.add(sound.fault) or blocks, 'sound')
        wait(lambda: sound.reopened == 1 and not sound.fault, 'the end of the fault')
    finally:
        sound.stop()
    assert source.starts == 4
    assert f'{source.name}: OSError: the driver has stumbled' in faults
    assert sum('Traceback' in line for line in log) == 1
    assert not sound.busy
