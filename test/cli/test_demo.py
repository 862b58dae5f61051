"""The `avdet demo` command: real processes, real DDS, a small real model."""

from __future__ import annotations

import json
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import cv2
import psutil
import pytest
from rosbags.highlevel import AnyReader

from avdet_ros.messages.typestore import typestore
from avdet_ros.topics import outputs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
AVDET = [sys.executable, '-m', 'avdet_ros.cli.main', 'demo']
KEYS = {
    'seconds',
    'windows',
    'windows_dropped',
    'detections',
    'tracks',
    'map50',
    'mota',
    'latency_ms',
    'cpu_percent',
    'model',
    'ros_distro',
}


def spectrogram_stamps(bag):
    with AnyReader([bag], default_typestore=typestore()) as reader:
        topics = {name for name, topic in reader.topics.items() if topic.msgcount}
        wanted = [c for c in reader.connections if c.topic == '/avdet/spectrogram']
        stamps = []
        for connection, _, data in reader.messages(connections=wanted):
            stamp = reader.deserialize(data, connection.msgtype).header.stamp
            stamps.append(stamp.sec + stamp.nanosec * 1e-9)
    return topics, stamps


def optional_reason(topic):
    """Return why the bag of a demo may lack a topic, or None if it must have it."""
    if topic.when.startswith('if package '):
        return 'the package need not be installed'
    if topic.name in ('/diagnostics', 'debug/steps'):
        return 'describes the state of the nodes, not what is heard'
    return None


@pytest.mark.ros
def test_demo_writes_summary_bag_and_video(tmp_path, model_path):
    out = tmp_path / 'demo'
    done = subprocess.run(
        [*AVDET, '--duration', '5', '--out', str(out), '--model', str(model_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert 'latency' in done.stdout
    summary = json.loads((out / 'summary.json').read_text())
    assert set(summary) == KEYS
    assert summary['windows'] == 41
    assert summary['seconds'] == 5.0
    assert summary['detections'] > 0
    assert summary['tracks'] > 0
    late = summary['latency_ms']
    assert 0 < late['p50'] <= late['p99'] <= late['max']
    assert {'capture', 'detector', 'tracker', 'overlay'} <= set(summary['cpu_percent'])
    assert summary['model']['file'] == str(model_path)
    assert len(summary['model']['sha256']) == 64
    topics, stamps = spectrogram_stamps(out / 'bag')
    told = {topic.name: topic for node in ('detector', 'tracker') for topic in outputs(node)}
    wanted = {f'/avdet/{name}' for name, topic in told.items() if optional_reason(topic) is None}
    assert {'/avdet/detections', '/avdet/tracks_3d', '/avdet/nearest'} <= wanted
    assert topics >= wanted | {'/avdet/spectrogram', '/avdet/odom', '/avdet/truth'}
    # On a busy machine, windows are late and dropped; all of them are counted.
    whole = summary['windows'] - summary['windows_dropped']
    assert 0 < whole <= summary['windows']
    assert len(stamps) >= whole - 2
    video = cv2.VideoCapture(str(out / 'overlay.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 1920
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) > 5
    assert cv2.imread(str(out / 'overlay.png')).shape[1] > 1000


@pytest.mark.ros
def test_interrupted_demo_keeps_its_results(tmp_path, model_path):
    out = tmp_path / 'demo'
    command = [*AVDET, '--duration', '60', '--out', str(out), '--model', str(model_path)]
    log = tmp_path / 'log'
    process = subprocess.Popen(command, cwd=ROOT, stdout=log.open('w'), stderr=subprocess.STDOUT)
    until = time.monotonic() + 150
    while not re.search(r'^[1-9]\d* of \d+ windows', log.read_text(), re.MULTILINE):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, log.read_text()
    assert not [child for child in children if child.is_running()]
    assert json.loads((out / 'summary.json').read_text())['windows'] > 0
    assert (out / 'overlay.mp4').exists()
    assert (out / 'bag' / 'metadata.yaml').exists()


def test_unwritable_output_folder_is_rejected(avdet, tmp_path, model_path):
    (tmp_path / 'file').write_text('no folder')
    out = tmp_path / 'file' / 'demo'
    status, _, error = avdet('demo', '--out', out, '--model', model_path)
    assert status == 1
    assert error.startswith(f'error: {out}: expected a folder that can be written, found:')
    assert 'Traceback' not in error


@pytest.mark.ros
def test_missing_model_is_rejected(tmp_path):
    done = subprocess.run(
        [*AVDET, '--out', str(tmp_path), '--model', str(tmp_path / 'none.onnx')],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert 'none.onnx' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('seed', ['7', '299999'])
def test_seeds_of_training_and_test_drives_are_rejected(avdet, tmp_path, seed):
    status, _, error = avdet('demo', '--seed', seed, '--out', tmp_path)
    assert status == 1
    assert 'expected 300000 or more' in error
