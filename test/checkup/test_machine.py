"""Clock, memory, disk and model checks on the machine that runs the tests."""

from __future__ import annotations

from dataclasses import replace

from avdet_ros.checkup.machine import (
    check_disk,
    check_model,
    check_provider,
    check_shared_memory,
    clock_state,
)
from avdet_ros.detection.session import Detector


def test_matching_model_reports_its_execution_provider(rig, model_path):
    model, gpu = check_model(model_path, rig, ['cpu'])
    assert (model.state, model.found) == ('ok', 'small.onnx fits the rig')
    assert gpu.found.startswith('CPUExecutionProvider, ')


def test_model_of_another_rig_reports_the_next_step(rig, model_path):
    other = replace(rig, camera=replace(rig.camera, width_px=1280))
    model, gpu = check_model(model_path, other)
    assert model.state == 'to do'
    assert 'avdet.image_width' in model.found
    assert 'student.onnx' in model.next_step
    assert gpu.state == 'not checked'


def test_missing_model_is_reported(rig, tmp_path):
    model, gpu = check_model(tmp_path / 'none.onnx', rig)
    assert model.state == 'to do'
    assert 'none.onnx' in model.found
    assert gpu.state == 'not checked'


def test_unused_gpu_is_reported_with_a_next_step(rig, front_end, model_path):
    detector = Detector(model_path, rig, front_end, ['cuda', 'cpu'], threads=1)
    finding = check_provider(detector, 'NVIDIA Test')
    if detector.provider == 'CPUExecutionProvider':
        assert finding.state == 'to do'
        assert 'although there is NVIDIA Test' in finding.found
        assert 'onnxruntime-gpu' in finding.next_step
    else:
        assert finding.found.startswith('CUDAExecutionProvider')


def test_disk_check_reports_hours_of_sound_for_a_new_folder(tmp_path):
    finding = check_disk(tmp_path / 'bags' / 'today', 44100)
    assert str(tmp_path) in finding.found
    assert 'hours of sound' in finding.found
    # At 44.1 kHz a terabyte of free space would hold 393 hours; at this rate hardly a second.
    assert check_disk(tmp_path, 10**12).state == 'to do'


def test_shared_memory_check_reports_its_location(tmp_path):
    assert check_shared_memory(tmp_path / 'none').state == 'not checked'
    finding = check_shared_memory()
    assert 'at /dev/shm' in finding.found


def test_clock_state_returns_synchronisation_and_maximum_error():
    state = clock_state()
    assert state is None or (state[0] in (True, False) and 0 <= state[1] < 1e6)
