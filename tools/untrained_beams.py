"""Measure how well beams of several kinds find vehicles without any network.

    python tools/untrained_beams.py WINDOWS

WINDOWS is a set of validation windows. A map over all directions is averaged over bands and
frames. Its peaks, interpolated with a curve through three columns, are bearings; their height
above the map's median is the score. The maps:

- the steered response and its logarithm, and the deconvolved one (`deconvolution.py`): inputs of
  the network for any array;
- adaptive beams: let C be the coherences of the live microphones, with ones on the diagonal plus a
  load L, P its inverse and `a` a wave from a direction. Then log 1 / (a^H P a) is the output of
  the quietest beam that passes the wave (J. Capon, "High-resolution frequency-wavenumber spectrum
  analysis", Proceedings of the IEEE 57, 1969);
- *superresolved*: log (a^H P a) / (a^H P P a), how little that beam amplifies noise (G. Borgiotti
  and L. Kaplan, "Superresolution of uncorrelated interference sources by using adaptive array
  techniques", IEEE Transactions on Antennas and Propagation 27, 1979).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
import sys

from averaged_runs import windows_of
import numpy as np
from rich.progress import track
import torch
from torch import Tensor

from avdet_ros.audio.microphone_pairs import EVERY_PAIR
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.any_array.beams.deconvolution import pooled_by_power
from avdet_ros.training.any_array.bearing_first import (
    LEAST_RESPONSE,
    BearingFirst,
    BearingShape,
    live_microphones,
    live_pairs,
)
from avdet_ros.training.any_array.fitting.validation import FoundInWindow, scores_of
from avdet_ros.training.any_array.windows.store import ArrayBatch

AT_A_TIME = 16
LOADS, FRAMES = (0.05, 0.3), (1, 4, 11)
"""Loads added to the diagonal of C; numbers of 23 ms frames over which C is averaged."""


def beams(coherence: Tensor, steering: Tensor, load: float) -> tuple[Tensor, Tensor]:
    """Compute a^H P a and a^H P P a per direction, divided by the number of live microphones.

    Args:
        coherence: (B, M, 2 pairs, T) of all 28 pairs.
        steering: (B, M, A, 2 pairs) of the same bands.
        load: load L, see the module.

    Returns:
        Two maps (B, M, T, A).
    """
    values = torch.view_as_complex(coherence.transpose(2, 3).unflatten(-1, (-1, 2)).contiguous())
    first, second = torch.tensor(EVERY_PAIR).T
    matrix = torch.zeros(*values.shape[:3], MICROPHONES, MICROPHONES, dtype=values.dtype)
    matrix[..., first, second], matrix[..., second, first] = values, values.conj()
    inverse = torch.linalg.inv(matrix + (1 + load) * torch.eye(MICROPHONES))
    alive = live_microphones(steering)[:, None, None]
    expected = (steering * live_pairs(steering)[:, None, None, None]).transpose(-1, -2)
    found = []
    for power in (inverse, inverse @ inverse):
        own = (power.diagonal(dim1=-2, dim2=-1).real * alive).sum(dim=-1, keepdim=True)
        pairs = torch.view_as_real(power[..., first, second]).flatten(-2)
        found.append((own + 2 * pairs @ expected) / alive.sum(dim=-1, keepdim=True))
    return found[0], found[1]


def maps_of(batch: ArrayBatch, network: BearingFirst) -> dict[str, Tensor]:
    """Compute the maps of all kinds, (B, A), by name."""
    first, last = network.shape.unblurred_bands
    level_db, coherence = batch.level_db[:, first:last], batch.coherence[:, first:last]
    steering = batch.steering[:, first:last]
    response = steering @ coherence
    parts, _ = network.unblurred(batch.level_db, batch.coherence, batch.steering)
    if parts is None:
        raise ValueError('network: expected one that deconvolves')
    maps = {
        'steered response': response.mean(dim=(1, 3)),
        'its logarithm': response.clamp(min=LEAST_RESPONSE).log().mean(dim=(1, 3)),
        'logarithm of the deconvolved one': parts[:, network.shape.groups :].mean(dim=(1, 3)),
    }
    for frames in FRAMES:
        pooled = pooled_by_power(coherence, level_db, frames)
        for load in LOADS:
            quiet, amplified = beams(pooled, steering, load)
            setting = f'{23 * frames} ms, load {load:g}'
            maps[f'adaptive beams, {setting}'] = -quiet.log().mean(dim=(1, 2))
            maps[f'superresolved, {setting}'] = -(amplified / quiet).log().mean(dim=(1, 2))
    return maps


def peaks_of(values: np.ndarray, shape: BearingShape) -> FoundInWindow:
    """Find the bearings in one window's (A,) map, without size, box or range."""
    front = values[: shape.front]
    left, here, right = front[:-2], front[1:-1], front[2:]
    peak = np.flatnonzero((here > left) & (here >= right))
    left, here, right = left[peak], here[peak], right[peak]
    aside = 0.5 * (left - right) / np.minimum(left - 2 * here + right, -1e-9)
    azimuths_deg = azimuth_grid(shape.front, shape.front_deg, shape.around)
    angles = np.zeros((len(peak), 4), np.float32)
    angles[:, 0] = azimuths_deg[1 + peak] - aside * shape.column_deg
    above = here - np.median(front)
    return FoundInWindow(angles, above, np.ones((len(peak), 3)), np.zeros((len(peak), 4)))


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    network = BearingFirst(BearingShape()).eval()
    store = windows_of(Path(sys.argv[1]), network.shape)
    maps: dict[str, list[np.ndarray]] = defaultdict(list)
    for index in track(torch.arange(len(store)).split(AT_A_TIME), 'windows'):
        with torch.no_grad():
            for name, values in maps_of(store.batch(index), network).items():
                maps[name].append(values.numpy())
    print('| | AP, 3° | recall, 3° | error, median |\n|---|--:|--:|--:|')
    for name, windows in maps.items():
        found = [peaks_of(values, network.shape) for values in np.concatenate(windows)]
        scores = scores_of(found, store)
        print(
            f'| {name} | {scores["bearing_ap"]:.3f} | {scores["bearing_recall"]:.3f} | '
            f'{scores["azimuth_error_deg"]:.2f}° |'
        )


if __name__ == '__main__':
    main()
