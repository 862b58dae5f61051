"""Steering of many arrays at once, for training with another array in each window.

The values are those of `avdet_ros.detection.steering`, but from a table: in a mel band, the
expected coherence of a pair depends only on the delay between its microphones.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS

STEP_S = 2e-6
"""Delay between the table's rows: linear interpolation errs by less than 0.001 up to 7 kHz."""

LARGEST_DELAY_S = 0.009
"""Delay between microphones 3 m apart; larger delays are clamped to it."""

_BLOCK = 512


class SteeringTable:
    """Expected coherences of every mel band by delay.

    Attributes:
        pairs: of microphones, as in the front end.
        rows: (N, 2 * n_mels) real parts, then imaginary parts, of delays 0, `STEP_S`, ...
    """

    def __init__(self, front_end: FrontEnd, device: torch.device | str = 'cpu') -> None:
        self.n_mels = front_end.n_mels
        filters = front_end.mel_filters.astype(np.float64)
        weight = np.maximum(filters.sum(axis=1, keepdims=True), 1e-30)
        by_bin = scipy.sparse.csr_array(filters / weight)
        bins_hz = np.fft.rfftfreq(front_end.n_fft, 1 / front_end.sample_rate_hz)
        delays_s = np.arange(round(LARGEST_DELAY_S / STEP_S) + 1) * STEP_S
        rows = []
        for first in range(0, len(delays_s), _BLOCK):
            turn = 2 * np.pi * np.outer(bins_hz, delays_s[first : first + _BLOCK])
            parts = [(by_bin @ part(turn)).T for part in (np.cos, np.sin)]
            rows.append(np.concatenate(parts, axis=1).astype(np.float32))
        self.rows = torch.from_numpy(np.concatenate(rows)).to(device)
        self.pairs = front_end.pairs
        first, second = np.array(self.pairs).T
        self._first = torch.from_numpy(first).to(device)
        self._second = torch.from_numpy(second).to(device)

    def steering(
        self,
        microphones_m: Tensor,
        yaw_deg: Tensor,
        azimuths_deg: Tensor,
        alive: Tensor,
        late_s: Tensor | None = None,
        wave_speed_mps: Tensor | None = None,
    ) -> Tensor:
        """Compute the steering of each of B arrays.

        Args:
            microphones_m: (B, 8, 2 or 3) positions in the array's frame.
            yaw_deg: (B,) rotation of that frame against the camera's heading, left positive.
            azimuths_deg: (A,) relative to the camera's heading.
            alive: (B, 8) bool.
            late_s: (B, 8) delay of each channel, where it is known and still in the features;
                None for no delays.
            wave_speed_mps: (B, A) speed at which waves from each direction pass the array: that
                of sound plus the array's own motion; None for `SPEED_OF_SOUND_MPS`.

        Returns:
            (B, n_mels, A, 2 pairs) float32, see `avdet_ros.detection.steering.steering`.
        """
        azimuth = torch.deg2rad(azimuths_deg[None] - yaw_deg[:, None])
        directions = torch.stack([azimuth.cos(), azimuth.sin()], dim=-1)
        lead_s = torch.matmul(directions, microphones_m[..., :2].transpose(1, 2))
        if wave_speed_mps is None:
            lead_s = lead_s / SPEED_OF_SOUND_MPS
        else:
            lead_s = lead_s / wave_speed_mps[..., None]
        if late_s is not None:
            lead_s = lead_s - late_s[:, None]
        delay = (lead_s[..., self._first] - lead_s[..., self._second]) / STEP_S
        place = delay.abs().clamp(max=len(self.rows) - 1.001)
        below = place.floor().long()
        part = (place - below)[..., None]
        found = torch.lerp(self.rows[below], self.rows[below + 1], part)
        real, imaginary = found.split(self.n_mels, dim=-1)
        imaginary = imaginary * delay.sign()[..., None]
        live = alive[:, self._first] & alive[:, self._second]
        scale = live / live.sum(dim=1, keepdim=True).clamp(min=1)
        both = torch.stack([real, imaginary], dim=3) * scale[:, None, :, None, None]
        # (B, A, pairs, 2, n_mels) to (B, n_mels, A, pairs * 2)
        return both.flatten(2, 3).permute(0, 3, 1, 2).contiguous()
