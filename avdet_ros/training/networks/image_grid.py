"""An image grid learned from scratch, without any built-in geometry.

Variant ``image_grid_levels`` learns from the eight levels alone, as the paper's student does.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.column_layers import conv1d
from avdet_ros.training.networks.grid_student import GridStudent
from avdet_ros.training.networks.layers import Head, Scaling, conv, pooled_frames
from avdet_ros.training.registries import STUDENTS


class ImageGridNet(nn.Module):
    """One linear layer per frame, then layers over time, then a linear map to the image.

    No geometry is built in: the network learns which coherence means which column. With
    ``levels_only`` it receives no coherences.
    """

    def __init__(
        self,
        rig: Rig,
        front_end: FrontEnd,
        rows: int = 16,
        columns: int = 48,
        width: int = 384,
        levels_only: bool = False,
    ) -> None:
        super().__init__()
        del rig
        self.inputs = MICROPHONES if levels_only else len(front_end.feature_names)
        self.rows, self.columns = rows, columns
        bands, frames = front_end.n_mels, pooled_frames(front_end)
        self.scaling = Scaling(bands)
        self.frame = nn.Sequential(*conv1d(self.inputs * bands, width, 1))
        self.shorten = nn.Sequential(
            *(
                layer
                for _ in range(3)
                for layer in conv1d(width, width // 2, 5, stride=2) + conv1d(width // 2, width, 1)
            )
        )
        for _ in range(3):
            frames = (frames - 1) // 2 + 1
        # The map goes to a coarser grid of the same shape; otherwise the linear layer would hold
        # nearly all weights.
        self.coarse = (rows // 2, columns // 2)
        self.channels = 24
        self.to_window = nn.Linear(width * frames, 256)
        self.to_coarse = nn.Linear(256, 12 * self.coarse[0] * self.coarse[1])
        self.refine = nn.Sequential(
            nn.Upsample(scale_factor=2, mode='bilinear'), *conv(12, self.channels, 3)
        )
        self.head = Head(self.channels)

    def features(self, spectrogram: Tensor) -> Tensor:
        """Pooled (B, 32, n_mels, T) to a map over the image (B, channels, rows, columns)."""
        frames = self.frame(self.scaling(spectrogram)[:, : self.inputs].flatten(1, 2))
        window = functional.relu(self.to_window(self.shorten(frames).flatten(1)))
        return self.refine(
            functional.relu(self.to_coarse(window)).unflatten(1, (12, *self.coarse))
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 32, n_mels, T) pooled features to (B, grid.CHANNELS, rows, columns)."""
        return self.head(self.features(spectrogram))


@STUDENTS.register
class ImageGrid(GridStudent):
    """The student whose network is `ImageGridNet`."""

    name = 'image_grid'
    network = ImageGridNet


@STUDENTS.register
class ImageGridLevels(GridStudent):
    """The student whose network is `ImageGridNet` on levels alone."""

    name = 'image_grid_levels'
    network = partial(ImageGridNet, levels_only=True)
