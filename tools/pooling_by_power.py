"""Score a model on frames pooled by their power instead of with equal weights.

    python tools/pooling_by_power.py MODEL DRIVES

The input of a model for any array is averaged over `POOL_FRAMES` frames. Instead, coherences could
be weighted by each frame's power, as if cross-spectra and powers were summed first and then
divided: loud frames, which contain more information, would count more. DRIVES validation drives
(seeds from 101000, a different array and three windows each) are rendered once and pooled both
ways. MODEL, a model file or the folder of a run, was trained on means and is scored on both.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from averaged_runs import windows_of
import numpy as np
import torch
from weights_between import read

from avdet_ros.audio.features import POOL_FRAMES, pool_frames
from avdet_ros.cli.console import progress_bars
from avdet_ros.rig import MICROPHONES, load_rig
from avdet_ros.simulation import array_windows
from avdet_ros.simulation.array_windows import WindowPlan
from avdet_ros.simulation.shard_folder import MANIFEST, write_rows
from avdet_ros.training.any_array.beams import deconvolution
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of

FIRST_SEED = 101_000

POOLED = ('means', 'by power')


def pooled_by_power(features: np.ndarray) -> np.ndarray:
    """Pool levels as in `pool_frames`, and coherences weighted by the microphones' mean power.

    Args:
        features: (8 + 2 pairs, n_mels, frames) of the front end; the last group may be smaller.

    Returns:
        (8 + 2 pairs, n_mels, ceil(frames / POOL_FRAMES)) float32.
    """
    levels_db = features[:MICROPHONES]
    coherence = torch.from_numpy(features[MICROPHONES:]).transpose(0, 1)[None]
    level_db = 10 * torch.from_numpy(10 ** (levels_db / 10)).mean(dim=0).log10()[None]
    whole = features.shape[-1] // POOL_FRAMES * POOL_FRAMES
    pooled = [
        deconvolution.pooled_by_power(coherence[..., part], level_db[..., part], frames)
        for part, frames in (
            (slice(0, whole), POOL_FRAMES),
            (slice(whole, None), features.shape[-1] - whole),
        )
        if frames
    ]
    by_power = torch.cat(pooled, dim=-1)[0].transpose(0, 1).numpy()
    return np.concatenate([pool_frames(levels_db), by_power])


def make_windows(folder: Path, drives: int) -> None:
    """Write the windows of some drives into two sets, one per entry of `POOLED`."""
    base, plan = load_rig(), WindowPlan()
    front_end, by_power = plan.front_end(base), []

    def pool_both(features: np.ndarray) -> np.ndarray:
        by_power.append(pooled_by_power(features))
        return pool_frames(features)

    # Hooks into the generation of windows, so that one rendering serves both poolings.
    array_windows.pool_frames = pool_both
    for name in POOLED:
        (folder / name).mkdir()
        card = {'features': list(front_end.feature_names)}
        (folder / name / MANIFEST).write_text(json.dumps(card), encoding='utf-8')
    with progress_bars().step('drives', drives) as advance:
        for seed in range(FIRST_SEED, FIRST_SEED + drives):
            rows = list(array_windows.array_windows(seed, base, front_end, plan))
            power_rows = [
                {**row, 'features': pooled.astype(np.float16)}
                for row, pooled in zip(rows, by_power, strict=True)
            ]
            by_power.clear()
            for name, pooled_rows in zip(POOLED, (rows, power_rows), strict=True):
                write_rows(folder / name, seed, pooled_rows)
            advance(1)


def main(model: Path, drives: int) -> None:
    """Print the model's scores on both sets."""
    network = read(model)
    with TemporaryDirectory() as folder:
        make_windows(Path(folder), drives)
        for name in POOLED:
            store = windows_of(Path(folder) / name, network.shape)
            scores = scores_of(found_in(network, store), store)
            print(
                f'| {name} | {scores["bearing_ap"]:.3f} | {scores["bearing_recall"]:.3f} | '
                f'{scores["azimuth_error_deg"]:.2f}° | {scores["ap50"]:.3f} |'
            )


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]))
