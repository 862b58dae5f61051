"""Priority and memory of a process, and the signals that end it."""

import os
import platform
import signal
import subprocess
import sys

import pytest

from avdet_ros.process import END_SIGNALS, NICENESS, SignalFlag, until_signal

ASK = (
    'import os; from avdet_ros.process import lower_priority; lower_priority(); print(os.nice(0))'
)


def test_lower_priority_affects_the_process_and_not_its_parent():
    before = os.nice(0)
    for session in (False, True):
        done = subprocess.run(
            [sys.executable, '-c', ASK],
            capture_output=True,
            text=True,
            check=True,
            start_new_session=session,
        )
        assert int(done.stdout) == min(before + NICENESS, 19)
    assert os.nice(0) == before


FAULTS = """
import resource, sys
import numpy as np
from avdet_ros.audio.features import FrontEnd
from avdet_ros.process import keep_freed_memory
if sys.argv[1] == 'keep':
    keep_freed_memory()
front_end, window = FrontEnd(), np.ones((8, 44100), np.float32)
for index in range(6):
    if index == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    front_end.compute(window)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='mallopt is glibc')
def test_kept_memory_causes_fewer_page_faults():
    faults = {}
    for how in ('keep', 'give back'):
        command = [sys.executable, '-c', FAULTS, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults['keep'] < 100
    assert faults['keep'] < faults['give back']


ASK_THREAD = """
import os, threading
from avdet_ros.process import lower_priority
ready, done = threading.Event(), threading.Event()
def work():
    ready.set()
    done.wait()
    print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
thread = threading.Thread(target=work)
thread.start()
ready.wait()
lower_priority()
done.set()
thread.join()
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere a process has one niceness')
def test_lower_priority_affects_running_threads():
    done = subprocess.run([sys.executable, '-c', ASK_THREAD], capture_output=True, text=True)
    assert int(done.stdout) == min(os.nice(0) + NICENESS, 19)


TIDY = """
import os, signal
from avdet_ros.process import until_signal
with until_signal():
    try:
        os.kill(os.getpid(), signal.{first})
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        print('tidy')
os.kill(os.getpid(), signal.SIGTERM)
print('the end')
"""


@pytest.mark.parametrize('first', ['SIGINT', 'SIGTERM'])
def test_first_signal_ends_a_block_and_later_ones_are_ignored(first):
    command = [sys.executable, '-c', TIDY.format(first=first)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'tidy\nthe end\n', '')


def test_signal_handlers_are_restored_without_a_signal():
    before = [signal.getsignal(number) for number in END_SIGNALS]
    with until_signal():
        assert [signal.getsignal(number) for number in END_SIGNALS] != before
    assert [signal.getsignal(number) for number in END_SIGNALS] == before
    with pytest.raises(KeyboardInterrupt), until_signal():
        raise KeyboardInterrupt


def test_threads_share_one_memory_arena():
    count = """
import ctypes, sys, threading
from avdet_ros.process import use_one_arena
if sys.argv[1] == 'shared':
    use_one_arena()
held = threading.Barrier(5)
def take():
    kept = [bytearray(1000) for _ in range(100)]
    held.wait()
    held.wait()
for _ in range(4):
    threading.Thread(target=take).start()
held.wait()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, 'stdout'))
libc.fflush(None)
held.wait()
"""
    places = {
        how: subprocess.run(
            [sys.executable, '-c', count, how], capture_output=True, text=True, check=True
        ).stdout.count('<heap nr')
        for how in ('own', 'shared')
    }
    assert places['own'] > 1
    assert places['shared'] == 1


@pytest.mark.parametrize('number', END_SIGNALS)
def test_every_end_signal_sets_the_flag(number):
    before = {each: signal.getsignal(each) for each in END_SIGNALS}
    try:
        flag = SignalFlag()
        assert not flag.received
        signal.raise_signal(number)
        assert flag.received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_signal_flag_takes_two_signals_and_restores_the_handler():
    """The second signal may arrive while the first is still being handled."""
    before = signal.getsignal(signal.SIGINT)
    with SignalFlag() as stop:
        assert not stop.received
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        assert stop.received
    assert signal.getsignal(signal.SIGINT) is before


RAISE = """
import os, sys, threading
from avdet_ros.process import raise_priority
if sys.argv[1] == 'nobody':
    import resource
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    os.setuid(65534)
ended = threading.Event()
threads = [threading.Thread(target=ended.wait, name=name) for name in ('slow', 'quick')]
for thread in threads:
    thread.start()
print(raise_priority(7, ('slow',)) or 'granted')
numbers = [os.getpid(), *(thread.native_id for thread in threads)]
print([os.sched_getscheduler(n) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO for n in numbers])
ended.set()
"""


@pytest.mark.skipif(
    sys.platform != 'linux' or os.geteuid() != 0, reason='only root may be somebody else'
)
def test_real_time_priority_is_granted_or_refusal_explained():
    printed = {}
    for who in ('root', 'nobody'):
        command = [sys.executable, '-c', RAISE, who]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        printed[who] = done.stdout.splitlines()
    refusal, raised = printed['nobody']
    assert refusal.startswith('real-time priority 7 is refused (')
    assert 'limits.conf' in refusal
    assert raised == '[False, False, False]'
    if printed['root'][0] == 'granted':  # a container may refuse root, too
        assert printed['root'][1] == '[True, False, True]'
    else:
        assert 'is refused (' in printed['root'][0]


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='mallopt is glibc')
def test_startup_memory_is_returned_once_and_later_memory_kept():
    program = """
import psutil
from avdet_ros.process import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
def megabytes():
    return psutil.Process().memory_info().rss / 1e6
def need():
    held = [bytearray(1 << 20) for _ in range(60)]
    last = bytearray(1 << 20)
    return last  # above what is freed, as what is loaded stays
before, last = megabytes(), need()
print(megabytes() - before)
give_back_freed_memory()
print(megabytes() - before)
more = need()
print(megabytes() - before)
"""
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )
    kept, given_back, kept_again = map(float, done.stdout.split())
    assert kept > 55
    assert given_back < 10
    assert kept_again > 55
