"""`ros2 run avdet_ros X --help` is help, and a word that nobody knows starts nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from avdet_ros.cli import train_node
from avdet_ros.nodes import main as nodes_main
from avdet_ros.nodes.command_line import help_text, split_words, words_outside_ros_args
from avdet_ros.nodes.main import ABOUT, CLASSES, COMPOSED
from avdet_ros.parameters import NODES


def run(program: str, *words: str) -> subprocess.CompletedProcess:
    """A program of the package as its entry point starts it; ends by itself or the test fails."""
    of_nodes = program in (*CLASSES, COMPOSED)
    module = 'avdet_ros.nodes.main' if of_nodes else 'avdet_ros.cli.train_node'
    function = program if of_nodes else 'main'
    code = f'import sys; sys.argv[0] = {program!r}; from {module} import {function} as f; f()'
    command = [sys.executable, '-c', code, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ('program', 'parameter'), [('capture', 'device'), ('recorder', 'topics'), ('train', 'recipe')]
)
def test_help_prints_the_parameters_and_starts_nothing(program, parameter):
    ended = run(program, '--help')
    assert ended.returncode == 0
    assert f'usage: ros2 run avdet_ros {program} ' in ended.stdout
    assert f'\n  {parameter}:=' in ended.stdout
    assert ended.stderr == ''


def test_every_node_has_a_help_with_every_parameter():
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
def test_a_word_that_nobody_knows_is_refused(program, words, sentence, monkeypatch, capsys):
    def started(*_, **__):
        pytest.fail('a word that nobody knows did not keep it from starting')

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


def test_what_rcl_takes_is_left_to_it():
    argv = ['capture', '--ros-args', '-p', 'source:=file', '-r', '__ns:=/a', '--log-level', 'info']
    assert words_outside_ros_args(argv) == []
    assert words_outside_ros_args([*argv, '--', 'x', '--ros-args', '-p', 'b:=2']) == ['x']


def test_several_nodes_have_words_of_their_own_and_words_for_all():
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
def test_composed_refuses_what_is_no_list_of_nodes(words, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        split_words('composed', CLASSES, ['composed', *words])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_composed_tells_how_it_is_called(monkeypatch, capsys):
    from avdet_ros.nodes.main import composed

    monkeypatch.setattr('sys.argv', ['composed', 'capture', '--help'])
    with pytest.raises(SystemExit) as ended:
        composed()
    assert not ended.value.code
    assert 'composed NODE [--ros-args ... --] NODE' in capsys.readouterr().out
