from __future__ import annotations

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest

from avdet_ros.detection import providers
from avdet_ros.detection import session as session_module
from avdet_ros.detection.providers import PROVIDERS
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError


@pytest.fixture
def blank(front_end):
    return np.zeros((32, 80, 173), np.float32)


def test_boxes_in_pixels(make_model, save, rig, front_end, blank):
    path = save(make_model())
    detector = Detector(path, rig, front_end)
    detections = detector.detect(blank)
    assert detections.boxes_px.dtype == detections.scores.dtype == np.float32
    np.testing.assert_allclose(
        detections.boxes_px, [[192, 130, 576, 390], [960, 325, 1920, 650]], rtol=1e-6
    )
    np.testing.assert_allclose(detections.scores, [0.9, 0.4])
    assert detector.provider in onnxruntime.get_available_providers()
    assert detector.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert detector.size_bytes == path.stat().st_size
    assert detector.contract.label_offset_s == -0.5


def test_the_input_reaches_the_model(make_model, save, rig, front_end, blank):
    detector = Detector(save(make_model(gain=0.05)), rig, front_end, providers=['cpu'])
    detections = detector.detect(blank + 1)
    np.testing.assert_allclose(detections.scores, [0.95, 0.45], rtol=1e-5)
    np.testing.assert_array_equal(detector.detect(blank + 1).scores, detections.scores)


def test_nothing_found(make_model, save, rig, front_end, blank):
    model = make_model(boxes=np.zeros((0, 4)), scores=np.zeros(0))
    detections = Detector(save(model), rig, front_end).detect(blank)
    assert len(detections) == 0
    assert detections.boxes_px.shape == (0, 4)


def test_boxes_are_cut_to_the_image(make_model, save, rig, front_end, blank):
    boxes = np.array([[-0.5, 0.5, 0.5, 2.0], [1.1, 0, 1.2, 1], [0.4, 0.4, 0.3, 0.5]])
    detector = Detector(save(make_model(boxes=boxes, scores=[0.5, 0.4, 0.3])), rig, front_end)
    np.testing.assert_allclose(detector.detect(blank).boxes_px, [[0, 325, 960, 650]])


def test_scores_that_rounding_leaves_outside_are_put_to_0_and_1(
    make_model, save, rig, front_end, blank
):
    detector = Detector(save(make_model(scores=[1 + 5e-6, -5e-6])), rig, front_end)
    assert detector.detect(blank).scores.tolist() == [1, 0]
    wrong = Detector(save(make_model(scores=[1.01, 0.5])), rig, front_end)
    with pytest.raises(AvdetError, match='output scores: expected numbers from 0 to 1'):
        wrong.detect(blank)


@pytest.mark.parametrize('shape', [(31, 80, 173), (32, 64, 173), (1, 32, 80, 173), (32, 80, 172)])
def test_other_shapes_are_refused(make_model, save, rig, front_end, shape):
    detector = Detector(save(make_model()), rig, front_end)
    with pytest.raises(AvdetError, match=r'spectrogram: expected shape \(32, 80, 173\)'):
        detector.detect(np.zeros(shape, np.float32))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_input_that_is_not_a_number(make_model, save, rig, front_end, blank, value):
    detector = Detector(save(make_model()), rig, front_end)
    blank[5, 6, 7] = value
    with pytest.raises(AvdetError, match='spectrogram: expected finite'):
        detector.detect(blank)
    blank[5, 6, 7] = 0
    assert len(detector.detect(blank)) == 2  # it recovers when the cause goes


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'boxes': [[0, 0, np.nan, 1]], 'scores': [0.5]}, 'finite numbers, found NaN'),
        ({'boxes': [[0, 0, 1, 1]], 'scores': [np.nan]}, 'finite numbers, found NaN'),
        ({'boxes': [[0, 0, 1, 1]], 'scores': [1.5]}, 'from 0 to 1'),
        ({'scores': [0.4, 0.9]}, 'descending order'),
        ({'labels': [0, 7]}, 'labels: expected numbers of the 1 classes'),
        ({'boxes': [[0, 0, 1, 1]]}, r'found \(1, 4\), \(2,\)'),
    ],
)
def test_outputs_are_checked(make_model, save, rig, front_end, blank, options, sentence):
    detector = Detector(save(make_model(**options)), rig, front_end)
    with pytest.raises(AvdetError, match=sentence):
        detector.detect(blank)


def test_model_that_onnx_parses_but_nothing_runs(make_model, save, rig, front_end):
    model = make_model()
    model.graph.node[0].op_type = 'NoSuchOperator'
    with pytest.raises(AvdetError, match=r'tiny\.onnx cannot be loaded: .*NoSuchOperator'):
        Detector(save(model), rig, front_end)


def test_threads(make_model, save, rig, front_end, blank):
    path = save(make_model())
    assert len(Detector(path, rig, front_end, threads=1).detect(blank)) == 2
    with pytest.raises(AvdetError, match='threads: expected'):
        Detector(path, rig, front_end, threads=0)


@pytest.mark.skipif(
    'CUDAExecutionProvider' in onnxruntime.get_available_providers(), reason='it has CUDA'
)
def test_provider_that_is_not_installed(make_model, save, rig, front_end, blank):
    detector = Detector(save(make_model()), rig, front_end, providers=['cuda'])
    assert detector.provider == 'CPUExecutionProvider'
    assert 'CUDAExecutionProvider: not in this ONNX Runtime' in detector.notes[0]
    assert len(detector.detect(blank)) == 2


def test_no_notes_when_nothing_was_asked_for(make_model, save, rig, front_end):
    if onnxruntime.get_available_providers()[-1:] == ['CPUExecutionProvider']:
        detector = Detector(save(make_model()), rig, front_end, providers=['cpu'])
        assert detector.notes == []


class LostDevice:
    """A session whose device is gone: real until it was made, then every run fails."""

    def __init__(self, session):
        self.session = session

    def run(self, *_):
        raise RuntimeError('CUDA failure 46: device unavailable')


def test_provider_that_fails_while_running(make_model, save, rig, front_end, blank, caplog):
    detector = Detector(save(make_model()), rig, front_end, providers=['cpu'])
    detector._session, detector.provider = LostDevice(detector._session), 'CUDAExecutionProvider'
    assert len(detector.detect(blank)) == 2
    assert detector.provider == 'CPUExecutionProvider'
    assert 'falling back to CPUExecutionProvider' in caplog.text
    assert 'device unavailable' in detector.notes[-1]


def test_provider_that_fails_at_the_start(make_model, save, rig, front_end, monkeypatch):
    real = onnxruntime.InferenceSession

    def failing(content, options, providers):
        if providers[0] != 'CPUExecutionProvider':
            raise RuntimeError('no driver')
        return real(content, options, providers=providers)

    monkeypatch.setattr(session_module.onnxruntime, 'InferenceSession', failing)
    monkeypatch.setattr(
        session_module.onnxruntime, 'get_available_providers', lambda: list(PROVIDERS.values())
    )
    detector = Detector(save(make_model()), rig, front_end)
    assert detector.provider == 'CPUExecutionProvider'
    assert len(detector.notes) == 2
    assert 'TensorrtExecutionProvider cannot run' in detector.notes[0]


def test_session_is_made_of_the_checked_bytes(make_model, save, rig, front_end, blank):
    path = save(make_model())
    detector = Detector(path, rig, front_end)
    path.write_bytes(onnx.ModelProto().SerializeToString())
    assert len(detector.detect(blank)) == 2


def test_two_packages_of_onnx_runtime_are_named(make_model, save, rig, front_end, monkeypatch):
    path = save(make_model())
    monkeypatch.setattr(providers, 'distribution', lambda name: name)
    cpu_alone = [PROVIDERS['cpu']]
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: cpu_alone)
    assert 'both installed' in Detector(path, rig, front_end).notes[0]
    assert Detector(path, rig, front_end, providers=['cpu']).notes == []


@pytest.mark.skipif(
    'CUDAExecutionProvider' in onnxruntime.get_available_providers(), reason='it has CUDA'
)
def test_every_provider_that_is_missing_is_named_and_what_there_is(
    make_model, save, rig, front_end
):
    detector = Detector(save(make_model()), rig, front_end, providers=['tensorrt', 'cuda'])
    have = ', '.join(onnxruntime.get_available_providers())
    words = 'TensorrtExecutionProvider, CUDAExecutionProvider: not in this ONNX Runtime, which has'
    assert detector.provider_notes == [f'{words} {have}']


def test_threads_of_a_session_do_not_spin(make_model, save, rig, front_end):
    options = Detector(save(make_model()), rig, front_end, threads=3)._session
    options = options.get_session_options()
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '0'
    assert (options.intra_op_num_threads, options.log_severity_level) == (3, 3)


@pytest.mark.skipif(
    'TensorrtExecutionProvider' in onnxruntime.get_available_providers(), reason='it has TensorRT'
)
@pytest.mark.parametrize('providers', [None, ['tensorrt', 'cpu']])
def test_a_cache_without_tensorrt_is_one_sentence(
    make_model, save, rig, front_end, blank, tmp_path, providers
):
    cache = tmp_path / 'engines'
    path = save(make_model())
    detector = Detector(path, rig, front_end, providers, tensorrt_cache=cache)
    (note,) = detector.notes
    assert 'TensorrtExecutionProvider' in note
    assert note.endswith(f'; tensorrt_cache {cache} is not used')
    assert len(detector.detect(blank)) == 2
    assert not cache.exists()
    assert Detector(path, rig, front_end, ['cpu'], tensorrt_cache=cache).notes == []


class PretendingSession:
    """The real session, as a machine with a GPU would hand it out."""

    asked: list = []  # noqa: RUF012  # one list for all, emptied by the fixture
    runs_on = 'TensorrtExecutionProvider'

    def __init__(self, content, options, providers):
        self.asked.append(providers)
        self.session = session_module_session(content, options, providers=[PROVIDERS['cpu']])

    def get_providers(self):
        return [self.runs_on]

    def run(self, *arguments):
        return self.session.run(*arguments)


session_module_session = onnxruntime.InferenceSession


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(PretendingSession, 'asked', [])
    monkeypatch.setattr(session_module.onnxruntime, 'InferenceSession', PretendingSession)
    monkeypatch.setattr(
        session_module.onnxruntime, 'get_available_providers', lambda: list(PROVIDERS.values())
    )
    return PretendingSession.asked


def test_tensorrt_keeps_its_engines_in_a_folder_of_its_own(
    make_model, save, rig, front_end, tmp_path, pretended
):
    cache = tmp_path / 'new' / 'engines'
    assert Detector(save(make_model()), rig, front_end, tensorrt_cache=cache).notes == []
    (name, options), *others = pretended[0]
    assert name == PROVIDERS['tensorrt']
    assert options['trt_engine_cache_enable'] is True
    assert options['trt_engine_cache_path'] == options['trt_timing_cache_path'] == str(cache)
    assert others == [PROVIDERS['cuda'], PROVIDERS['cpu']]
    assert cache.stat().st_mode & 0o077 == 0


def test_an_engine_cache_that_others_may_write_is_not_used(
    make_model, save, rig, front_end, tmp_path, pretended
):
    tmp_path.chmod(0o777)
    (note,) = Detector(save(make_model()), rig, front_end, tensorrt_cache=tmp_path).notes
    assert 'only this user may write to, found mode 777' in note
    assert pretended[0] == list(PROVIDERS.values())


def test_cuda_in_place_of_tensorrt_is_said_where_tensorrt_was_asked_for(
    make_model, save, rig, front_end, pretended, monkeypatch
):
    monkeypatch.setattr(PretendingSession, 'runs_on', PROVIDERS['cuda'])
    path = save(make_model())
    detector = Detector(path, rig, front_end)
    assert (detector.provider, detector.notes) == (PROVIDERS['cuda'], [])
    (note,) = Detector(path, rig, front_end, ['tensorrt', 'cuda']).notes
    assert note == f'{PROVIDERS["tensorrt"]} cannot be used here: running on {PROVIDERS["cuda"]}'
