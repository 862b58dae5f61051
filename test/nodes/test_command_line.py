"""`ros2 run avdet_ros X --help` prints help, and unknown arguments start nothing."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from avdet_ros.cli import train_node
from avdet_ros.fields import Param
from avdet_ros.nodes import main as nodes_main
from avdet_ros.nodes.command_line import help_text, split_words, words_outside_ros_args
from avdet_ros.nodes.main import ABOUT, CLASSES
from avdet_ros.parameters import NODES


@pytest.fixture
def run(monkeypatch, capsys):
    """Call a program as its entry point does; the test fails unless it exits."""

    def run(program: str, *words: str) -> SimpleNamespace:
        monkeypatch.setattr('sys.argv', [program, *words])
        with pytest.raises(SystemExit) as ended:
            train_node.main() if program == 'train' else getattr(nodes_main, program)()
        printed = capsys.readouterr()
        return SimpleNamespace(
            returncode=ended.value.code or 0, stdout=printed.out, stderr=printed.err
        )

    return run


def test_process_exits_with_an_error_for_an_unknown_option():
    command = [sys.executable, '-m', 'avdet_ros.nodes.main', 'detector', '--models']
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, '')
    assert ended.stderr == (
        'error: detector: expected parameters as --ros-args -p NAME:=VALUE, '
        "found '--models'; --help lists them\n"
    )


@pytest.mark.parametrize(
    ('program', 'parameter'), [('capture', 'device'), ('recorder', 'topics'), ('train', 'recipe')]
)
def test_help_prints_the_parameters_and_starts_nothing(run, program, parameter):
    ended = run(program, '--help')
    assert ended.returncode == 0
    assert f'usage: ros2 run avdet_ros {program} ' in ended.stdout
    assert f'\n  {parameter}:=' in ended.stdout
    assert ended.stderr == ''


def test_help_of_every_node_lists_every_parameter():
    assert ABOUT.keys() == CLASSES.keys() == NODES.keys()
    for name, params in NODES.items():
        text = help_text(name, ABOUT[name], params)
        assert all(f'  {param.name}:=' in text for param in params)
        assert max(map(len, text.splitlines())) < 99


@pytest.mark.parametrize(
    ('program', 'words', 'sentence'),
    [
        ('capture', ['source:=file'], 'expected --ros-args -p source:=file'),
        ('capture', ['sorce:=file'], 'did you mean source?'),
        ('detector', ['--models', 'x.onnx'], "found '--models'; --help lists them"),
        ('capture', ['--ros-args', '-p', 'a:=1', '--', 'more'], "found 'more'"),
        ('composed', ['capture', 'detectr'], "found 'detectr'; did you mean detector?"),
        ('train', ['config/recipes/own_vehicle.yaml'], "found 'config/recipes/own_vehicle.yaml'"),
    ],
)
def test_unknown_arguments_are_rejected(program, words, sentence, monkeypatch, capsys):
    def started(*_, **__):
        pytest.fail('an unknown argument did not prevent the start')

    monkeypatch.setattr('avdet_ros.nodes.main._run', started)
    monkeypatch.setattr('avdet_ros.cli.train_node._arguments', started)
    monkeypatch.setattr('sys.argv', [program, *words])
    with pytest.raises(SystemExit) as ended:
        train_node.main() if program == 'train' else getattr(nodes_main, program)()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ''


def test_ros_arguments_are_left_to_rcl():
    argv = ['capture', '--ros-args', '-p', 'source:=file', '-r', '__ns:=/a', '--log-level', 'info']
    assert words_outside_ros_args(argv) == []
    assert words_outside_ros_args([*argv, '--', 'x', '--ros-args', '-p', 'b:=2']) == ['x']


def test_composed_splits_arguments_per_node_and_for_all_nodes():
    words = ['composed', 'capture', '--ros-args', '-p', 'source:="file"', '--', 'detector']
    words += [
        '--ros-args',
        '--',
        'tracker',
        '--ros-args',
        '-r',
        '__ns:=/a',
        '--ros-args',
        '-r',
        'b',
    ]
    assert split_words('composed', CLASSES, words) == {
        'capture': ['--ros-args', '-p', 'source:="file"'],
        'detector': ['--ros-args'],
        'tracker': [],
        '': ['--ros-args', '-r', '__ns:=/a', '--ros-args', '-r', 'b'],
    }


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        ([], 'found none'),
        (['capture', 'capture'], "each once, found 'capture' again"),
        (['--ros-args', '-p', 'a:=1', '--', 'capture'], 'a node before the first --'),
    ],
)
def test_composed_rejects_anything_but_a_list_of_nodes(words, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        split_words('composed', CLASSES, ['composed', *words])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_composed_help_prints_its_usage(monkeypatch, capsys):
    from avdet_ros.nodes.main import composed

    monkeypatch.setattr('sys.argv', ['composed', 'capture', '--help'])
    with pytest.raises(SystemExit) as ended:
        composed()
    assert not ended.value.code
    assert 'composed NODE [--ros-args ... --] NODE' in capsys.readouterr().out


def test_help_shows_default_description_and_range_of_each_parameter():
    params = (
        Param('hop_s', 0.1, 'from window to window', 0.02, 1.0, live=True),
        Param('rig', '', 'file with microphones, ' + 'long words ' * 12),
        Param('topics', ['a', 'b'], 'what is recorded'),
    )
    text = help_text('capture', 'Turns sound ' * 12, params)
    assert text.splitlines() == [
        'usage: ros2 run avdet_ros capture [--ros-args -p NAME:=VALUE ... -r TOPIC:=OTHER ...]',
        '',
        ('Turns sound ' * 8).strip(),
        ('Turns sound ' * 4).strip(),
        '',
        'parameters:',
        '  hop_s:=0.1',
        '      from window to window (a number from 0.02 to 1); may change while it runs',
        "  rig:=''",
        '      file with microphones, ' + ('long words ' * 6).strip(),
        '      ' + ('long words ' * 6).strip(),
        '  topics:=a, b',
        '      what is recorded (a list of texts)',
    ]


def test_composed_rejects_missing_unknown_and_repeated_nodes(capsys):
    names = ', '.join(CLASSES)
    for words, sentence in (
        ([], f'composed: expected names of nodes ({names}), found none'),
        (['tracker', 'x'], f"composed: expected names of nodes ({names}), each once, found 'x'"),
        (['tracker', 'tracker'], f"({names}), each once, found 'tracker' again"),
        (['--ros-args', '--'], 'composed: expected a node before the first --, found none'),
        (['tracker', '--', 'detector'], "each once, found '--'"),
    ):
        with pytest.raises(SystemExit):
            split_words('composed', CLASSES, ['composed', *words])
        assert capsys.readouterr().err.endswith(f'{sentence}\n')
