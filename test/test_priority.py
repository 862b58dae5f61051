"""Processes that give way: for good, and only themselves."""

import os
import subprocess
import sys

from avdet_ros.priority import NICENESS

ASK = 'import os; from avdet_ros.priority import give_way; give_way(); print(os.nice(0))'


def test_a_process_gives_way_and_its_parent_does_not():
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
