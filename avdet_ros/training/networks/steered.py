"""Steered response: the known geometry of array and camera turns coherences into directions.

The coherences of microphone pairs become a picture over azimuth and time; all directions share the
learned layers.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import microphones_in_array
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.column_layers import Residual1d, conv1d
from avdet_ros.training.networks.grid_student import GridStudent
from avdet_ros.training.networks.layers import Head, Scaling, conv, pooled_frames
from avdet_ros.training.networks.steering import image_directions, steering_weights
from avdet_ros.training.registries import STUDENTS

MIN_RESPONSE = 0.02
"""Floor of the steered response: a direction with a smaller share of a band's sound, -17 dB,
counts as silent."""


class SteeredResponseNet(nn.Module):
    """Steered response over (band, azimuth, time), then convolutions shared by all azimuths.

    Its input per band, azimuth and pooled frame is the share of the sound from there (the steered
    response, at most 1), its logarithm, and the level of the band: the sum of the last two is the
    level of the sound from there. The first layer mixes bands into channels; the next ones see
    azimuth and time and shorten time. Then time becomes channels, a learned constant per azimuth
    is added, and convolutions over azimuth compare neighbours. Finally, each column of the image
    is turned into its rows. Directions beyond the image and behind are inputs as well, so that
    sound from there is not mistaken for a vehicle in view.
    """

    def __init__(
        self,
        rig: Rig,
        front_end: FrontEnd,
        rows: int = 16,
        columns: int = 48,
        margin_columns: int = 4,
        around: int = 8,
        width: int = 48,
    ) -> None:
        super().__init__()
        self.rows, self.columns, self.margin_columns = rows, columns, margin_columns
        bands, frames = front_end.n_mels, pooled_frames(front_end)
        directions = image_directions(rig, columns, margin_columns, around)
        weights = steering_weights(front_end, microphones_in_array(rig), directions)
        self.register_buffer('steering', torch.from_numpy(weights), persistent=False)
        self.scaling = Scaling(bands)
        self.from_response = nn.Conv2d(bands, width, 1, bias=False)
        self.from_power = nn.Conv2d(bands, width, 1, bias=False)
        self.from_level = nn.Conv1d(bands, width, 3, padding=1, bias=False)
        self.mixed = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        widths = (width, 4 * width // 3, 2 * width, 8 * width // 3)
        shorten: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            shorten += conv(before, after, (3, 4), stride=(1, 2), padding=(1, 1))
            frames = (frames - 2) // 2 + 1
        self.shorten = nn.Sequential(*shorten)
        deep = 4 * width
        self.to_columns = nn.Sequential(*conv1d(widths[-1] * frames, deep, 1))
        self.place = nn.Parameter(torch.zeros(deep, len(directions)))
        self.column_context = nn.ModuleList(
            Residual1d(deep, dilation) for dilation in (1, 2, 4, 8)
        )
        self.channels = 24
        self.to_rows = nn.Sequential(*conv1d(deep, rows * self.channels, 1))
        self.head = Head(self.channels)

    def response(self, spectrogram: Tensor) -> Tensor:
        """Compute the steered response of scaled features: (B, n_mels, azimuths, T)."""
        # Bands side by side: each has its own weights over the 24 coherences.
        coherence = spectrogram[:, MICROPHONES:].transpose(1, 2)
        return torch.matmul(self.steering, coherence)

    def features(self, spectrogram: Tensor) -> Tensor:
        """Pooled (B, 32, n_mels, T) to a map over the image (B, channels, rows, columns)."""
        scaled = self.scaling(spectrogram)
        level = self.from_level(scaled[:, :MICROPHONES].mean(dim=1))
        response = self.response(scaled)
        power = self.from_power(torch.log(response.clamp(min=MIN_RESPONSE)))
        mixed = self.mixed(self.from_response(response) + power + level[:, :, None])
        short = self.shorten(mixed)
        columns = self.to_columns(short.transpose(2, 3).flatten(1, 2)) + self.place
        for layer in self.column_context:
            columns = layer(columns)
        last = columns.shape[-1] - self.margin_columns
        columns = columns[:, :, last - self.columns : last]
        return self.to_rows(columns).unflatten(1, (self.channels, self.rows))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) pooled features to (B, grid.CHANNELS, rows, columns)."""
        return self.head(self.features(spectrogram))


@STUDENTS.register
class Steered(GridStudent):
    """The student whose network is `SteeredResponseNet`."""

    name = 'steered'
    network = SteeredResponseNet
