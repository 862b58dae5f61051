"""Recorded drives in the layout of data sets, small enough to write for a test."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import soundfile

from avdet_ros.dataset import layout


def write_drives(root: Path) -> Path:
    """Write six short drives in the MAVD layout: pictures of a bright block, noise as sound."""
    rng = np.random.default_rng(0)
    listed = {'train': [], 'val': [], 'test': []}
    for number in range(6):
        name = f'drive_{"night" if number % 2 else "day"}_2030_01_0{number + 1}_10_00_00'
        folder = root / name
        start_ns = (1_900_000_000 + 86_400 * number) * 1_000_000_000
        for part in ('fl_rgb', 'fl_ir_aligned', 'fl_rgb_depth', 'truth'):
            (folder / part).mkdir(parents=True)
        (folder / 'parameters.json').write_text(
            json.dumps({'start_ns': start_ns, 'static': number == 0})
        )
        sound = (0.05 * rng.normal(size=(int(4.5 * 44100), 8))).astype(np.float32)
        soundfile.write(folder / layout.DRIVE_SOUND, sound, 44100, subtype='PCM_16')
        lines = []
        for index in range(8):
            frame = layout.make_id(name, start_ns + int((0.5 + 0.5 * index) * 1e9))
            listed['train' if number < 4 else 'val' if number == 4 else 'test'].append(frame)
            x, y = (int(value) for value in rng.integers([300, 200], [1300, 400]))
            box = [x, y, x + 300, y + 160]
            grey = rng.normal(60, 4, (65, 192)).clip(0, 255)
            picture = cv2.resize(grey, (1920, 650)).astype(np.uint8)
            picture[box[1] : box[3], box[0] : box[2]] = 230
            colour = np.repeat(picture[..., None], 3, axis=2)
            cv2.imwrite(str(layout.picture_path(root, frame, 'rgb', '.jpg')), colour)
            cv2.imwrite(str(layout.picture_path(root, frame, 'depth', '.jpg')), colour)
            counts = (21800 + 10 * picture.astype(np.uint16)).astype(np.uint16)
            cv2.imwrite(str(layout.picture_path(root, frame, 'thermal', '.png')), counts)
            line = {
                'stamp': frame.stamp,
                'time_s': 0.5 + 0.5 * index,
                'boxes_px': [box, [0, 0, 0, 0]],
                'ids': [1, 2],
                'kinds': ['car', 'car'],
                'distance_m': [20.0, 50.0],
                'speed_mps': [9.0, 9.0],
                'in_image': [1.0, 0.0],
                'visible_fraction': [1.0, 0.0],
                'level_db': [60.0, None],
                'rest_db': [50.0, 50.0],
                'audible': [True, False],
                'label': [True, False],
                'pixels': [48000, 0],
            }
            lines.append(json.dumps(line))
        (folder / 'truth' / 'frames.jsonl').write_text('\n'.join(lines) + '\n')
    for split, frames in listed.items():
        layout.write_ids(layout.split_path(root, split), frames)
    return root
