"""A source and a tracker from a package outside: one class each, offered by an entry point."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

import pytest

NOISE = '''
import time

import numpy as np

from avdet_ros.fields import Param
from avdet_ros.sources.base import Block, Source


class NoiseSource(Source):
    """White noise on all channels."""

    name = 'noise'
    parameters = (Param('loudness_db', -20.0, 'level of the noise, dB re full scale', -90, 0),)

    def __init__(self, rig, loudness_db):
        super().__init__('noise', rig.sample_rate_hz)
        self.scale = 10 ** (loudness_db / 20)

    @classmethod
    def make(cls, rig, paced, **settings):
        return cls(rig, settings['loudness_db'])

    def start(self):
        self.rng, self.next_sample = np.random.default_rng(1), 0

    def read(self, timeout_s):
        samples = self.rng.normal(0, self.scale, (441, self.channels)).astype(np.float32)
        first, self.next_sample = self.next_sample, self.next_sample + 441
        return Block(samples, first, time.monotonic())

    def stop(self):
        pass
'''

TRACKER = '''
from avdet_ros.tracking import Track


class ForgetfulTracker:
    """Every detection is a new vehicle."""

    name = 'forgetful'

    def __init__(self, new_track_threshold: float = 0.5) -> None:
        self.threshold = new_track_threshold
        self.reset()

    def reset(self, first_id=1):
        self.next_id = first_id

    def update(self, stamp_s, detections):
        found = detections.above(self.threshold)
        first, self.next_id = self.next_id, self.next_id + len(found)
        return [
            Track(first + index, box, float(score), 0.0, stamp_s)
            for index, (box, score) in enumerate(zip(found.boxes_px, found.scores))
        ]
'''

PROGRAM = """
import json
import sys

sys.path.insert(0, sys.argv[1])

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.fields import find
from avdet_ros.graph import ARGUMENTS, make_graph
from avdet_ros.parameters import CAPTURE, NODES
from avdet_ros.rig import load_rig
from avdet_ros.sources.make import make_source
from avdet_ros.tracking import make_tracker

graph = make_graph({'source': 'noise', 'loudness_db': '-40', 'tracker': 'forgetful'})
source = make_source('noise', load_rig(), loudness_db=-40.0)
source.start()
block = source.read(1.0)
boxes = np.array([[0, 0, 10, 10], [0, 0, 20, 20]], np.float32)
tracker = make_tracker('forgetful', new_track_threshold=0.6)
tracks = tracker.update(0.0, Detections(boxes, np.array([0.9, 0.5], np.float32)))
print(json.dumps({
    'sources': find(CAPTURE, 'source').choices,
    'trackers': find(NODES['tracker'], 'tracker').choices,
    'argument': next(a.description for a in ARGUMENTS if a.name == 'loudness_db'),
    'nodes': {node.name: node.parameters for node in graph.nodes},
    'level': float(20 * np.log10(block.samples.std())),
    'ids': [track.track_id for track in tracks],
}))
"""


def offer(root: Path) -> None:
    """Write a package as an installer would leave it."""
    (root / 'noise_source.py').write_text(NOISE)
    (root / 'forgetful.py').write_text(TRACKER)
    about = root / 'outside-1.0.dist-info'
    about.mkdir()
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n')
    (about / 'entry_points.txt').write_text(
        '[avdet_ros.sources]\nnoise = noise_source:NoiseSource\n'
        '[avdet_ros.tracking]\nforgetful = forgetful:ForgetfulTracker\n'
    )


def test_a_source_and_a_tracker_are_one_class_each(tmp_path):
    offer(tmp_path)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen['sources'] == ['device', 'file', 'simulation', 'noise', 'topic']
    assert seen['trackers'] == ['iou', 'motion', 'forgetful']
    assert seen['argument'] == 'level of the noise, dB re full scale (a number from -90 to 0)'
    assert seen['nodes']['capture'] == {'source': 'noise', 'loudness_db': -40.0}
    assert seen['nodes']['tracker'] == {'tracker': 'forgetful'}
    assert seen['level'] == pytest.approx(-40, abs=0.5)
    assert seen['ids'] == [1]
