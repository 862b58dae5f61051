"""Set-up resumes after interruptions: stamps, broken packages and clear errors."""

from __future__ import annotations

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
sys.path.insert(0, str(TOOLS))

import bootstrap  # noqa: E402
import commands  # noqa: E402
import overlay  # noqa: E402
import wheels  # noqa: E402


@pytest.fixture
def venv(tmp_path):
    """An environment with one complete package of two files."""
    packages = tmp_path / '.venv' / 'lib' / 'python3.11' / 'site-packages'
    (packages / 'thing').mkdir(parents=True)
    (packages / 'thing' / '__init__.py').write_text('x = 1\n')
    record = packages / 'thing-1.0.dist-info'
    record.mkdir()
    (record / 'INSTALLER').write_text('pip\n')
    rows = 'thing/__init__.py,sha256=abc,6\nthing/__init__.pyc,,\nthing-1.0.dist-info/RECORD,,\n'
    (record / 'RECORD').write_text(rows)
    return tmp_path / '.venv'


def record_of(venv: Path) -> Path:
    return wheels.site(venv) / 'thing-1.0.dist-info'


def test_complete_package_is_kept(venv):
    wheels.mend(venv)
    assert record_of(venv).exists()


@pytest.mark.parametrize('harm', ['cut', 'gone', 'no record', 'no installer'])
def test_broken_package_loses_its_record_so_pip_reinstalls_it(venv, harm, capsys):
    source = wheels.site(venv) / 'thing' / '__init__.py'
    {
        'cut': lambda: source.write_text('x'),
        'gone': source.unlink,
        'no record': (record_of(venv) / 'RECORD').unlink,
        'no installer': (record_of(venv) / 'INSTALLER').unlink,
    }[harm]()
    wheels.mend(venv)
    assert not record_of(venv).exists()
    assert 'thing-1.0 was interrupted' in capsys.readouterr().out


def test_leftovers_of_pip_are_removed(venv):
    (wheels.site(venv) / '~hing').mkdir()
    wheels.mend(venv)
    assert not (wheels.site(venv) / '~hing').exists()


def test_step_is_finished_only_with_the_same_inputs(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, 'ROOT', tmp_path)
    monkeypatch.setattr(bootstrap, 'STAMPS', tmp_path)
    source = tmp_path / 'list.txt'
    source.write_text('numpy\n')
    step = bootstrap.Step('some', 'some packages', (source,), 'cpu', lambda: None)
    assert not step.finished()
    (tmp_path / 'some').write_text(step.key())
    assert step.finished()
    source.write_text('numpy\nscipy\n')
    assert not step.finished()


def test_gpu_and_cpu_requirements_exclude_each_other():
    for gpu, wanted in ((True, 'gpu.txt'), (False, 'cpu.txt')):
        runtime = next(s for s in bootstrap.steps('runtime', gpu, None) if s.name == 'runtime')
        assert {'cpu.txt', 'gpu.txt'} & {path.name for path in runtime.inputs} == {wanted}


def test_sourced_ros_needs_no_wheels_or_vision_msgs(monkeypatch):
    monkeypatch.setenv('PYTHON', sys.executable)
    names = [step.name for step in bootstrap.steps('runtime', False, 'jazzy')]
    assert 'vision_msgs' not in names
    inputs = [path.name for s in bootstrap.steps('runtime', False, 'jazzy') for path in s.inputs]
    assert 'ros.txt' not in inputs


def test_failing_command_shows_its_last_lines(tmp_path):
    log = tmp_path / 'log'
    with pytest.raises(commands.SetupError, match='no such wheel'):
        commands.run([sys.executable, '-c', 'raise SystemExit("no such wheel")'], log)
    assert 'no such wheel' in log.read_text()


def test_cmake_exports_get_the_folders_of_this_machine(tmp_path):
    export = tmp_path / 'share' / 'some' / 'someExport.cmake'
    export.parent.mkdir(parents=True)
    export.write_text(f'include "{overlay.BUILD_PYTHON};{overlay.BUILD_NUMPY}"')
    overlay.adapt_exports(tmp_path, sys.executable)
    text = export.read_text()
    assert '/opt/python/cp311' not in text
    for folder in text.split('"')[1].split(';'):
        assert Path(folder).is_dir()


@pytest.mark.ros
@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('Detection2DArray', '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968'),
        ('LabelInfo', '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783'),
    ],
)
def test_published_type_hashes_match_vision_msgs_4_1_1(name, value):
    # With another hash, a listener on a vehicle with the released vision_msgs would not match.
    import rclpy
    from rclpy.context import Context
    from vision_msgs import msg

    context = Context()
    rclpy.init(context=context)
    try:
        node = rclpy.create_node('hash_reader', context=context)
        node.create_publisher(getattr(msg, name), 'probe', 1)
        info = node.get_publishers_info_by_topic('probe')
        assert [bytes(one.topic_type_hash.value).hex() for one in info] == [value]
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def test_make_lists_its_commands():
    done = subprocess.run(['make'], cwd=TOOLS.parent, capture_output=True, text=True, check=True)
    for command in ('setup', 'demo', 'test', 'test-fast', 'lint', 'bench', 'clean'):
        assert f'\n{command} ' in '\n' + done.stdout


def test_full_disk_is_reported_before_downloading(tmp_path):
    free_gb = shutil.disk_usage(tmp_path).free / 1e9
    commands.need_space(tmp_path, free_gb / 2)
    with pytest.raises(
        commands.SetupError,
        match=rf'expected {2 * free_gb:.0f} GB of free disk .*, found \d+\.\d:',
    ):
        commands.need_space(tmp_path, 2 * free_gb)


def test_setup_steps_need_the_expected_disk_space():
    todo = bootstrap.steps('tests', gpu=False, ros=None)
    assert sum(step.size_gb for step in todo) == 8
    assert sum(step.size_gb for step in todo[:-1]) == 2
