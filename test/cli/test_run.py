"""The `avdet run` command and the graph behind it."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import psutil
import pytest

from avdet_ros.cli.console import console
from avdet_ros.dds_domain import free_domain, release_domain
from avdet_ros.errors import AvdetError
from avdet_ros.fields import find
from avdet_ros.graph import ARGUMENTS, make_graph, parse_arguments
from avdet_ros.parameters import NODES
from avdet_ros.supervisor import command, transport_settings

ROOT = Path(__file__).parents[2]
AVDET = [sys.executable, '-m', 'avdet_ros.cli.main']
PATIENCE_S = 60


def test_every_argument_has_a_description_and_a_valid_default():
    graph = make_graph({})
    assert [node.name for node in graph.nodes] == ['capture', 'detector', 'tracker', 'overlay']
    for argument in ARGUMENTS:
        assert len(argument.description) > 10
        assert argument.param.parse(argument.default) == argument.param.default
        if argument.choices:
            assert argument.default in argument.choices
        for node, parameter in argument.sets:
            assert find(NODES[node], parameter).default == argument.param.default


def test_arguments_reach_the_nodes():
    given = parse_arguments(
        [
            'source:=file',
            'file:=/a b/x.wav',
            'hop:=0.2',
            'record:=/tmp/x',
            'overlay:=false',
            'namespace:=car/roof',
        ]
    )
    graph = make_graph(given)
    assert graph.namespace == '/car/roof'
    nodes = {node.name: node for node in graph.nodes}
    assert set(nodes) == {'capture', 'detector', 'tracker', 'recorder'}
    capture = nodes['capture'].parameters
    assert (capture['source'], capture['file'], capture['hop_s']) == ('file', '/a b/x.wav', 0.2)
    assert nodes['recorder'].parameters['path'] == '/tmp/x'
    words = command(nodes['capture'], graph)
    assert 'file:="/a b/x.wav"' in words
    assert '__ns:=/car/roof' in words


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['sorce:=file'], 'did you mean source'),
        (['source=file'], 'expected an argument as name:=value'),
        (['source:=tape'], "expected one of device, file, simulation, topic, found 'tape'"),
        (['hop:=soon'], "parameter hop: expected a number from 0.02 to 1, found 'soon'"),
        (['duration:=nan'], 'parameter duration: expected'),
        (['namespace:=a-b'], 'namespace: expected letters'),
        (['overlay:=perhaps'], 'expected true or false'),
    ],
)
def test_invalid_arguments_are_rejected(words, message):
    with pytest.raises(AvdetError, match=message):
        make_graph(parse_arguments(words))


@pytest.mark.slow
def test_command_reports_an_invalid_argument_and_exits_with_1():
    done = subprocess.run(
        [*AVDET, 'run', 'source:=tape'], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith('error: parameter source: expected one of')
    assert 'Traceback' not in done.stderr


def test_arguments_are_listed_with_their_choices(avdet, monkeypatch):
    monkeypatch.setattr(console(), 'width', 200)
    _, page, _ = avdet('run', '--show-args')
    rows = {line.split()[0]: line for line in page.splitlines() if line[0] != ' '}
    assert set(rows) == {'argument', *(argument.name for argument in ARGUMENTS)}
    assert 'where sound comes from (device, file, simulation, topic)' in rows['source']
    assert rows['device'].split()[1] == "''"


def test_transport_settings_of_the_user_take_precedence():
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' in transport_settings({})
    assert transport_settings({'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}) == {}
    assert transport_settings({'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}) == {}


def children_of(pid):
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


@pytest.fixture
def run(tmp_path):
    """Start `avdet run`; returns the process and the file of its output."""
    started = []
    domain = free_domain()

    def run(*words):
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain)}
        log = tmp_path / 'run.log'
        process = subprocess.Popen(
            [*AVDET, 'run', *words],
            cwd=ROOT,
            env=environment,
            stdout=log.open('w'),
            stderr=subprocess.STDOUT,
        )
        started.append(process)
        return process, log

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
    release_domain(domain)


def wait_for_words(log, words, process):
    until = time.monotonic() + PATIENCE_S
    while not all(word in log.read_text() for word in words):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


ACTIVE = [f'[avdet.{name}]: active' for name in ('capture', 'detector', 'tracker', 'overlay')]


@pytest.mark.ros
@pytest.mark.parametrize(
    ('number', 'composed', 'count'),
    [(signal.SIGINT, 'false', 4), (signal.SIGTERM, 'false', 4), (signal.SIGINT, 'true', 2)],
)
def test_signal_ends_all_nodes_cleanly(run, model_path, number, composed, count):
    process, log = run('source:=simulation', f'model:={model_path}', f'composed:={composed}')
    wait_for_words(log, ACTIVE, process)
    children = children_of(process.pid)
    # The renderer is a child of capture and not counted.
    assert len(psutil.Process(process.pid).children()) == count
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 0
    assert not [pid for pid in children if psutil.pid_exists(pid)]
    assert 'Traceback' not in log.read_text()


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize('delay_s', [0.05, 0.4, 0.8, 1.3])
def test_signal_at_any_moment_leaves_no_processes_or_broken_bags(
    run, model_path, tmp_path, delay_s
):
    bag = tmp_path / 'bag'
    process, log = run('source:=simulation', f'model:={model_path}', f'record:={bag}')
    until = time.monotonic() + PATIENCE_S
    while not children_of(process.pid) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(delay_s)
    children = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0, log.read_text()
    assert not [pid for pid in children if psutil.pid_exists(pid)]
    assert not bag.exists() or (bag / 'metadata.yaml').exists()
    assert 'Traceback' not in log.read_text()


def test_signal_before_the_first_node_ends_the_command_cleanly():
    program = (
        'import os, signal\n'
        'from avdet_ros import graph\n'
        'from avdet_ros.cli.run import run\n'
        'graph.parse_arguments = lambda _: os.kill(os.getpid(), signal.SIGINT)\n'
        'run()\n'
    )
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b'')


@pytest.mark.ros
@pytest.mark.parametrize('composed', ['false', pytest.param('true', marks=pytest.mark.slow)])
def test_killed_node_is_restarted(run, model_path, composed):
    words = 'source:=simulation', f'model:={model_path}', 'overlay:=false'
    process, log = run(*words, f'composed:={composed}')
    wait_for_words(log, [ACTIVE[0], ACTIVE[1], ACTIVE[2]], process)
    victim = next(
        child for child in psutil.Process(process.pid).children() if 'detector' in child.cmdline()
    )
    victim.kill()
    wait_for_words(log, ['ended with status -9; starting it again'], process)
    until = time.monotonic() + PATIENCE_S
    while log.read_text().count(ACTIVE[1]) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert log.read_text().count(ACTIVE[1]) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0


@pytest.mark.ros
def test_killed_run_command_ends_its_nodes(run, model_path):
    process, log = run('source:=simulation', f'model:={model_path}')
    wait_for_words(log, ACTIVE, process)
    children = children_of(process.pid)
    process.kill()
    process.wait()
    until = time.monotonic() + PATIENCE_S
    while any(psutil.pid_exists(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in children if psutil.pid_exists(pid)]
