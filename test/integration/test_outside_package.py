"""The source and the tracker of CONTRIBUTING.md, provided by an external package."""

from __future__ import annotations

import json
import subprocess
import sys

from helpers.contributing import install
import pytest

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


def test_external_package_adds_a_source_and_a_tracker(tmp_path):
    install(tmp_path)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen['sources'] == ['device', 'file', 'simulation', 'noise', 'topic']
    assert seen['trackers'] == ['ground', 'iou', 'motion', 'forgetful']
    assert seen['argument'] == 'level of the noise, dB re full scale (a number from -90 to 0)'
    assert seen['nodes']['capture'] == {'source': 'noise', 'loudness_db': -40.0}
    assert seen['nodes']['tracker'] == {'tracker': 'forgetful'}
    assert seen['level'] == pytest.approx(-40, abs=0.5)
    assert seen['ids'] == [1]
