"""Select the topic of a bag to process and the grid of its windows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import itertools

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.window import HOP_S, SHORTEST_HOP_S
from avdet_ros.bags.left_out import whole_messages
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.sound_blocks import BagSound
from avdet_ros.bags.window_grid import LOOKED_AT, find_grid, usual_hop_s
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, IMAGE, decode_sound, decode_spectrogram, stamp_ns
from avdet_ros.rig import MICROPHONES


@dataclass
class InputSelection:
    """How a bag's sound becomes windows.

    Attributes:
        topic: topic of the sound or the spectrograms.
        raw: whether the topic contains raw sound.
        hop_s: time from window to window.
        skip_samples: samples to skip at the start so that windows end where the drive's did.
        grid_samples: where windows may end, see `avdet_ros.audio.window.WindowBuffer`.
        phase: see `WindowBuffer`.
    """

    topic: str
    raw: bool
    hop_s: float = HOP_S
    skip_samples: int = 0
    grid_samples: int = 1
    phase: float | None = None


def select_input(
    bag: Bag,
    front_end: FrontEnd,
    label_offset_s: float,
    topic: str | None = None,
    hop_s: float | None = None,
) -> InputSelection:
    """Select the topic: raw sound if the bag has any, else recorded spectrograms.

    Args:
        bag: the recording.
        front_end: its sample rate must be that of the sound.
        label_offset_s: of the model, which relates recorded detections to the grid of windows.
        topic: full name; None looks for ``audio``, then ``spectrogram``, in any namespace.
        hop_s: time from window to window; None uses that of the recorded windows, or `HOP_S`.

    Raises:
        AvdetError: the bag has neither, or the sound is not stamped eight-channel sound at the
            front end's rate.
    """
    audio = bag.find('audio', IMAGE) if topic is None else None
    recorded = bag.find('spectrogram', IMAGE)
    found = bag.find('detections', DETECTIONS)
    topic = topic or audio or recorded
    if topic is None:
        bag.require('/avdet/audio', IMAGE)  # its error lists what the bag has
        raise AvdetError(f'bag {bag.path}: expected audio or spectrogram of {IMAGE}, found others')
    bag.require(topic, IMAGE)
    if not _is_sound(bag, topic):
        return InputSelection(topic, raw=False)
    BagSound(bag, topic, front_end.sample_rate_hz)
    grid = front_end.hop_length
    selection = InputSelection(topic, raw=True, hop_s=hop_s or HOP_S, grid_samples=grid)
    if recorded is not None:
        _align(bag, selection, recorded, 0.0, front_end, hop_s is not None)
    elif found is not None:
        _align(bag, selection, found, label_offset_s, front_end, hop_s is not None)
    return selection


def _is_sound(bag: Bag, topic: str) -> bool:
    """Return whether a topic's first messages are sound rather than spectrograms.

    Raises:
        AvdetError: they are neither.
    """
    where = f'bag {bag.path}: {topic}'
    problem = None
    for message in itertools.islice(whole_messages(bag, topic), LOOKED_AT):
        try:
            if message.encoding.startswith('32FC') and message.encoding != f'32FC{MICROPHONES}':
                decode_spectrogram(message, where)
                return False
            decode_sound(message, where)
            return True
        except AvdetError as error:
            problem = problem or error
    raise problem or AvdetError(f'{where}: expected messages, found none that are whole')


def _align(
    bag: Bag,
    selection: InputSelection,
    recorded: str,
    offset_s: float,
    front_end: FrontEnd,
    keep_hop: bool,
) -> None:
    """Align the grid of windows with the drive's own windows.

    The grid counts from the first block, which a recorder that started late has missed. Each
    window's end is looked up in the block that contains it: stamps follow the estimated clock of
    the sound card, so counting from an earlier stamp would be off by some samples.
    """
    stamps = [stamp_ns(m) for m in itertools.islice(whole_messages(bag, recorded), LOOKED_AT)]
    rate_hz, grid_samples = front_end.sample_rate_hz, front_end.hop_length
    usual_s = usual_hop_s(stamps, grid_samples / rate_hz)
    if usual_s is not None and not keep_hop and SHORTEST_HOP_S <= usual_s <= front_end.window_s:
        selection.hop_s = usual_s
    starts = _starts(bag, selection.topic, stamps, offset_s, front_end)
    if starts:
        grid = find_grid(starts, selection.hop_s * rate_hz, grid_samples)
        selection.skip_samples, selection.phase = grid.first_sample, grid.phase
        selection.grid_samples = grid.grid_samples


def _starts(
    bag: Bag, topic: str, stamps: list[int], offset_s: float, front_end: FrontEnd
) -> list[int]:
    """Return the first sample of each recorded window whose end lies in a block."""
    rate_hz = front_end.sample_rate_hz
    ends_ns = deque(sorted(stamp - round(offset_s * 1e9) for stamp in stamps if stamp > 0))
    starts = []
    for place, block in BagSound(bag, topic, rate_hz).blocks():
        if place.restarted or not ends_ns:
            break
        while ends_ns:
            inside = round((ends_ns[0] - place.stamp_ns) * 1e-9 * rate_hz)
            if inside > len(block):
                break
            ends_ns.popleft()
            if inside > 0:
                starts.append(place.first_sample + inside - front_end.samples)
    return starts
