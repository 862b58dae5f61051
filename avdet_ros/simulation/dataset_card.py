"""Data set card of a folder of simulated drives; every number is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.simulation.plan import Plan, plan_drives
from avdet_ros.simulation.scene import HORIZON_M

_CUT = 'not written, cut from drive.flac by the reader'


def write_card(root: Path, plan: Plan, command: str) -> None:
    """Count the contents of a complete run and write ``DATASET_CARD.md``.

    Args:
        root: the data set's folder.
        plan: plan of the run.
        command: command that made the data set.
    """
    rows: list[str] = []
    settings: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    seen, labels, audible = [], [], []
    for drive in plan_drives(plan):
        parameters = layout.read_parameters(root / drive.name)
        conditions = parameters['conditions']
        truth = layout.read_truth(root, drive.name)
        inside = [sum(part > 0.3 for part in line['in_image']) for line in truth.values()]
        label_counts = [sum(line['label']) for line in truth.values()]
        seen += inside
        labels += label_counts
        for line in truth.values():
            kinds.update(k for k, label in zip(line['kinds'], line['label'], strict=True) if label)
            audible += line['audible']
        settings[parameters['setting']] += 1
        rows.append(
            f'| {drive.name} | {drive.split} | {parameters["setting"]} '
            f'| {"static" if parameters["static"] else "driving"} '
            f'| {conditions["sun_elevation_deg"]:.0f} | {conditions["rain"]:.2f} '
            f'| {conditions["air_c"]:.0f} | {len(truth)} | {np.mean(label_counts):.1f} '
            f'| {drive.scene_seed} |'
        )
    frames = len(labels)
    sound = clips = 'not written'
    if plan.sound:
        sound = "eight channels, 16 bits, full scale as the simulation's microphones"
        clips = f'one second centred on the frame: {"written" if plan.clips else _CUT}'
    size = sum(path.stat().st_size for path in root.rglob('*') if path.is_file())
    text = f"""# Simulated drives

{plan.drives} drives of {plan.minutes:g} min, {frames} frames at {plan.fps:g} a second, \
{size / 1e9:.2f} GB, made by

    {command}

No recording and no photograph is in it: roads, vehicles, their sound and their pictures are \
computed. The layout is MAVD's.

| what | where | how |
|---|---|---|
| RGB | `<drive>/fl_rgb/fl_rgb_<stamp>.jpg` | 1920x650, 8 bits |
| thermal | `<drive>/fl_ir_aligned/fl_ir_aligned_<stamp>.png` | 16-bit counts, 80 a kelvin from \
absolute zero; JPEG holds no 16 bits |
| depth | `<drive>/fl_rgb_depth/fl_rgb_<stamp>.jpg` | JET colours of the disparity, 0 to 192 px |
| metric depth | `<drive>/depth_m/depth_m_<stamp>.npy` | float16 metres on a grid of half the \
resolution, 0 unknown |
| sound of the drive | `<drive>/drive.flac` | {sound} |
| sound of a frame | `<drive>/audio/audio_<0..7>_<stamp>.flac` | {clips} |
| truth | `<drive>/truth/frames.jsonl` | a JSON object a frame |
| motion | `<drive>/odometry.csv` | 20 poses a second, speed ahead in m/s |
| parameters | `<drive>/parameters.json`, `<drive>/rig.yaml` | what the drive was drawn with |

Vehicles in the image a frame: {np.mean(seen):.2f} on average, {max(seen)} at most; to be \
reported by a detector of sound: {np.mean(labels):.2f} on average, {max(labels)} at most. \
Audible: {np.mean(audible) if audible else 0:.0%} of all vehicles within \
{HORIZON_M:g} m. Labelled kinds: \
{', '.join(f'{kind} {count}' for kind, count in kinds.most_common()) or 'none'}. Settings: \
{', '.join(f'{name} {count}' for name, count in settings.most_common())}.

Splits are by drive; scene seeds below 100000 are training, below 200000 validation, below 300000 \
test, and never meet.

| drive | split | setting | ego vehicle | sun, degrees | rain | air, C | frames | labels a frame \
| scene seed |
|---|---|---|---|---|---|---|---|---|---|
"""
    part = root / 'DATASET_CARD.md.part'
    part.write_text(text + '\n'.join(rows) + '\n', encoding='utf-8')
    part.replace(root / 'DATASET_CARD.md')
