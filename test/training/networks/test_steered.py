from __future__ import annotations

import numpy as np
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.data.mirror import find_mirror, mirrored
from avdet_ros.training.networks.layers import pool_frames
from avdet_ros.training.networks.steered import SteeredResponseNet


def test_steered_response_of_mirrored_sound_is_mirrored():
    rig = load_rig()
    student = SteeredResponseNet(rig, FrontEnd(), around=0)
    waveform = np.random.default_rng(0).normal(size=(8, 44100)).astype(np.float32) * 0.05
    spectrogram = pool_frames(torch.from_numpy(FrontEnd().compute(waveform))[None])
    other, _ = mirrored(spectrogram, [], find_mirror(rig))
    torch.testing.assert_close(
        student.response(other), student.response(spectrogram).flip(2), atol=1e-4, rtol=0
    )
