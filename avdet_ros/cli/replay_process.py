"""The bag player for launch files: `avdet bag replay`, which a signal can end at any moment."""

from __future__ import annotations

import sys

from avdet_ros.process import exit_on_signal

if __name__ == '__main__':
    exit_on_signal()
    from avdet_ros.cli.main import main

    sys.argv[1:1] = ['bag', 'replay']
    main()
