"""`avdet bench device`: delay and losses of a sound device at several PortAudio latencies."""

from __future__ import annotations

from typing import Annotated

import typer

from avdet_ros.cli.bench_latency import check_seconds
from avdet_ros.cli.bench_options import ResultsFile, RigFile, write_results
from avdet_ros.cli.console import console, progress_bars


def device(
    rig: RigFile = None,
    seconds: Annotated[float, typer.Option(help='How long to read at each latency.')] = 20,
    busy: Annotated[
        bool, typer.Option(help='Keep every core busy during the measurement.')
    ] = False,
    out: ResultsFile = None,
) -> None:
    """Read a virtual eight-channel device at PortAudio latencies from 5 to 80 ms.

    Prints how late blocks arrive and how many samples are lost (needs pulseaudio). To choose a
    latency, set device_latency_s of node capture, or run avdet run device_latency:=0.02.
    """
    from contextlib import nullcontext
    from dataclasses import asdict

    import numpy as np

    from avdet_ros.bench.device_latency import device_table, measure_device
    from avdet_ros.bench.graph_under_test import busy_cores
    from avdet_ros.bench.step_costs import machine
    from avdet_ros.rig import load_rig

    check_seconds(seconds)
    loaded, about = load_rig(rig), machine()
    noise = np.random.default_rng(1).normal(0, 1000, (5 * loaded.sample_rate_hz, 8))
    with busy_cores() if busy else nullcontext():
        results = measure_device(noise.astype(np.int16), loaded, seconds, progress=progress_bars())
    console().print(device_table(results))
    rows = [asdict(result) for result in results]
    write_results(out, {'machine': about, 'busy': busy, 'device': rows})
