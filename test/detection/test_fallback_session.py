from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from avdet_ros.detection import fallback_session, providers
from avdet_ros.detection.fallback_session import FallbackSession
from avdet_ros.detection.providers import PROVIDERS
from avdet_ros.errors import AvdetError

CPU = PROVIDERS['cpu']
INSTALLED = onnxruntime.get_available_providers()
FEED = {'spectrogram': np.zeros((1, 32, 80, 173), np.float32)}


@pytest.fixture
def path(make_model, save):
    return save(make_model())


@pytest.fixture
def open_session(path):
    def open_session(*options, **more) -> FallbackSession:
        return FallbackSession(path, path.read_bytes(), FEED, *options, **more)

    return open_session


def scores(session):
    return session.run(['scores'], FEED)[0].tolist()


def works(session):
    return scores(session) == pytest.approx([0.9, 0.4])


def test_outputs_by_name(open_session):
    session = open_session()
    assert works(session)
    boxes, labels = session.run(['boxes', 'labels'], FEED)
    assert (boxes.shape, labels.shape) == ((2, 4), (2,))
    assert session.provider in INSTALLED


def test_model_that_onnx_parses_but_nothing_runs(make_model, path):
    model = make_model()
    model.graph.node[0].op_type = 'NoSuchOperator'
    with pytest.raises(AvdetError, match=r'tiny\.onnx cannot be loaded: .*NoSuchOperator'):
        FallbackSession(path, model.SerializeToString(), FEED)


def test_input_that_the_cpu_cannot_run(open_session):
    wrong = {'spectrogram': np.zeros((1, 32, 80, 1), np.float32)}
    with pytest.raises(AvdetError, match=r'tiny\.onnx cannot run: .*spectrogram'):
        open_session(['cpu']).run(['scores'], wrong)


def test_threads(open_session):
    session = open_session(threads=3)
    assert works(session)
    options = session.session.get_session_options()
    assert (options.intra_op_num_threads, options.log_severity_level) == (3, 3)
    # Spinning threads would take cores that other nodes need.
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '0'


@pytest.mark.parametrize('threads', [0, -1, 1025])
def test_impossible_number_of_threads(open_session, threads):
    with pytest.raises(AvdetError, match='threads: expected a whole number from 1 to 1024'):
        open_session(threads=threads)


def test_unknown_provider(open_session):
    with pytest.raises(AvdetError, match=r"providers: expected some of .*, found 'gpu'"):
        open_session(['gpu'])


@pytest.mark.skipif(PROVIDERS['cuda'] in INSTALLED, reason='this ONNX Runtime has CUDA')
def test_missing_provider_gives_a_note(open_session):
    session = open_session(['cuda'])
    assert session.provider == CPU
    have = ', '.join(INSTALLED)
    assert session.notes == [f'CUDAExecutionProvider: not in this ONNX Runtime, which has {have}']
    assert works(session)


@pytest.mark.skipif(PROVIDERS['cuda'] in INSTALLED, reason='this ONNX Runtime has CUDA')
def test_one_note_names_all_missing_providers(open_session):
    have = ', '.join(INSTALLED)
    words = 'TensorrtExecutionProvider, CUDAExecutionProvider: not in this ONNX Runtime, which has'
    assert open_session(['tensorrt', 'cuda']).notes == [f'{words} {have}']


def test_no_note_if_the_requested_provider_works(open_session):
    assert open_session(['cpu']).notes == []


class LostDevice:
    """A session on a device that is gone: every run fails."""

    def run(self, *_):
        raise RuntimeError('CUDA failure 46: device unavailable')


def test_provider_that_fails_while_running(open_session, caplog):
    session = open_session(['cpu'])
    session.session, session.provider = LostDevice(), PROVIDERS['cuda']
    assert works(session)
    assert session.provider == CPU
    assert 'falling back to CPUExecutionProvider' in caplog.text
    assert 'device unavailable' in session.notes[-1]


def test_provider_that_fails_at_the_start(open_session, monkeypatch):
    real = onnxruntime.InferenceSession

    def failing(content, options, providers):
        if providers[0] != CPU:
            raise RuntimeError('no driver')
        return real(content, options, providers=providers)

    monkeypatch.setattr(fallback_session.onnxruntime, 'InferenceSession', failing)
    pretend_all_installed(monkeypatch)
    session = open_session()
    assert session.provider == CPU
    first, second = session.notes
    assert 'TensorrtExecutionProvider cannot run' in first
    assert first.endswith('(no driver): trying CUDAExecutionProvider')
    assert second.endswith('(no driver): trying CPUExecutionProvider')


def test_two_installed_packages_of_onnx_runtime_give_a_note(open_session, monkeypatch):
    monkeypatch.setattr(providers, 'distribution', lambda name: name)
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    assert 'both installed' in open_session().notes[0]
    assert open_session(['cpu']).notes == []


@pytest.mark.skipif(PROVIDERS['tensorrt'] in INSTALLED, reason='this ONNX Runtime has TensorRT')
@pytest.mark.parametrize('wanted', [None, ['tensorrt', 'cpu']])
def test_cache_without_tensorrt_gives_one_note(open_session, tmp_path, wanted):
    cache = tmp_path / 'engines'
    session = open_session(wanted, tensorrt_cache=cache)
    (note,) = session.notes
    assert 'TensorrtExecutionProvider' in note
    assert note.endswith(f'; tensorrt_cache {cache} is not used')
    assert works(session)
    assert not cache.exists()
    assert open_session(['cpu'], tensorrt_cache=cache).notes == []


REAL_SESSION = onnxruntime.InferenceSession


class PretendedSession:
    """The real session, with the answers that a machine with a GPU would give."""

    requested: list = []  # noqa: RUF012  # one list for all, emptied by the fixture
    runs_on = PROVIDERS['tensorrt']

    def __init__(self, content, options, providers):
        self.requested.append(providers)
        self.session = REAL_SESSION(content, options, providers=[CPU])

    def get_providers(self):
        return [self.runs_on]

    def run(self, *arguments):
        return self.session.run(*arguments)


def pretend_all_installed(monkeypatch):
    monkeypatch.setattr(
        fallback_session.onnxruntime, 'get_available_providers', lambda: list(PROVIDERS.values())
    )


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(PretendedSession, 'requested', [])
    monkeypatch.setattr(fallback_session.onnxruntime, 'InferenceSession', PretendedSession)
    pretend_all_installed(monkeypatch)
    return PretendedSession.requested


def test_tensorrt_keeps_its_engines_in_a_private_folder(open_session, tmp_path, pretended):
    cache = tmp_path / 'new' / 'engines'
    assert open_session(tensorrt_cache=cache).notes == []
    (name, options), *others = pretended[0]
    assert name == PROVIDERS['tensorrt']
    assert options['trt_engine_cache_enable'] is True
    assert options['trt_engine_cache_path'] == options['trt_timing_cache_path'] == str(cache)
    assert others == [PROVIDERS['cuda'], CPU]
    assert cache.stat().st_mode & 0o077 == 0


def test_cache_that_others_may_write_to_is_not_used(open_session, tmp_path, pretended):
    tmp_path.chmod(0o777)
    (note,) = open_session(tensorrt_cache=tmp_path).notes
    assert 'only this user may write to, found mode 777' in note
    assert pretended[0] == list(PROVIDERS.values())


def test_cuda_instead_of_tensorrt_gives_a_note_if_tensorrt_was_requested(
    open_session, pretended, monkeypatch
):
    monkeypatch.setattr(PretendedSession, 'runs_on', PROVIDERS['cuda'])
    session = open_session()
    assert (session.provider, session.notes) == (PROVIDERS['cuda'], [])
    (note,) = open_session(['tensorrt', 'cuda']).notes
    assert note == f'{PROVIDERS["tensorrt"]} cannot be used here: running on {PROVIDERS["cuda"]}'
