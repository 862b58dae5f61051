"""Which topic of a bag is processed, and where its windows lie."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
import itertools

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.sound_rate import MEASURE_S, WATCH_S, measure_rate, other_rate
from avdet_ros.audio.window import HOP_S, SHORTEST_HOP_S
from avdet_ros.bags.reader import Bag, BagMessage, decode
from avdet_ros.bags.window_grid import LOOKED_AT, find_grid, usual_hop_s
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, IMAGE, decode_sound, decode_spectrogram, stamp_ns
from avdet_ros.messages.stream import StampedBlocks
from avdet_ros.rig import MICROPHONES

_RATE_BLOCKS = 64


@dataclass
class InputSelection:
    """How a bag's sound becomes windows.

    Attributes:
        topic: where the sound or the spectrograms are.
        raw: whether the topic carries raw sound.
        hop_s: from window to window.
        skip_samples: left out at the start so that windows end where the drive's windows did.
        grid_samples: windows start on multiples of it, see `avdet_ros.audio.window`.
        phase: see there.
    """

    topic: str
    raw: bool
    hop_s: float = HOP_S
    skip_samples: int = 0
    grid_samples: int = 1
    phase: float = 0.0


def select_input(
    bag: Bag,
    front_end: FrontEnd,
    label_offset_s: float,
    topic: str | None = None,
    hop_s: float | None = None,
) -> InputSelection:
    """Select the topic: raw sound where there is some, else recorded spectrograms.

    Args:
        bag: the recording.
        front_end: its sample rate is what the sound must have.
        label_offset_s: of the model, which relates recorded detections to the grid of windows.
        topic: full name; None looks for ``audio``, then ``spectrogram``, in any namespace.
        hop_s: from window to window; None takes the recorded windows' or `HOP_S`.

    Raises:
        AvdetError: there is neither, or what is there is not sound of eight channels at the
            front end's rate with stamps.
    """
    audio = bag.find('audio', IMAGE) if topic is None else None
    recorded = bag.find('spectrogram', IMAGE)
    found = bag.find('detections', DETECTIONS)
    topic = topic or audio or recorded
    if topic is None:
        bag.require('/avdet/audio', IMAGE)  # its error lists what the bag has
        raise AvdetError(f'bag {bag.path}: expected audio or spectrogram of {IMAGE}, found others')
    bag.require(topic, IMAGE)
    first = next(messages_of(bag, topic), None)
    if first is None:
        raise AvdetError(f'bag {bag.path}: {topic}: expected messages, found none that are whole')
    where = f'bag {bag.path}: {topic}'
    if first.encoding.startswith('32FC') and first.encoding != f'32FC{MICROPHONES}':
        decode_spectrogram(first, where)
        return InputSelection(topic, raw=False)
    decode_sound(first, where)
    if stamp_ns(first) == 0:
        raise AvdetError(f'{where}: expected stamps in the headers, found 0')
    require_rate(bag, topic, front_end.sample_rate_hz)
    grid = front_end.hop_length
    selection = InputSelection(topic, raw=True, hop_s=hop_s or HOP_S, grid_samples=grid)
    if recorded is not None:
        _align(bag, selection, recorded, 0.0, front_end, hop_s is not None)
    elif found is not None:
        _align(bag, selection, found, label_offset_s, front_end, hop_s is not None)
    return selection


def messages_of(bag: Bag, topic: str) -> Iterator[object]:
    """The deserialized messages of one topic.

    Raises:
        AvdetError: one is damaged.
    """
    for message in bag.messages([topic]):
        yield _decode(bag, message)


def _decode(bag: Bag, message: BagMessage) -> object:
    try:
        return decode(message)
    except AvdetError as error:
        raise AvdetError(f'bag {bag.path}: {error}') from error


def require_rate(bag: Bag, topic: str, sample_rate_hz: int) -> None:
    """Compare stamps with sample counts; a wrong rate would shift every frequency.

    Raises:
        AvdetError: the sound has another rate.
    """
    stamps: list[int] = []
    counts: list[int] = []
    held, early = 0, 0
    for message in messages_of(bag, topic):
        stamps.append(stamp_ns(message))
        counts.append(message.height)
        held += message.height
        early += held <= WATCH_S * sample_rate_hz
        if held > MEASURE_S * sample_rate_hz:
            break
    measured = measure_rate(stamps, counts)
    if measured is None or not measured.is_other(sample_rate_hz):
        return
    begins = measure_rate(stamps[:early], counts[:early])
    # One that begins well and changes is read up to there, by who reads on.
    if begins is None or not begins.is_certainly(sample_rate_hz):
        raise AvdetError(other_rate(f'bag {bag.path}: {topic}', measured.hz, sample_rate_hz))


def _align(
    bag: Bag,
    selection: InputSelection,
    recorded: str,
    offset_s: float,
    front_end: FrontEnd,
    keep_hop: bool,
) -> None:
    """Lay the grid of windows where the drive's own windows were.

    A recorder that came late missed the first blocks, and the grid counts from the first. Each
    window's end is looked up in the block that holds it: stamps follow the estimated clock of the
    sound card, so counting from an earlier stamp would be off by some samples.
    """
    stamps = [stamp_ns(m) for m in itertools.islice(messages_of(bag, recorded), LOOKED_AT)]
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
    """Numbers of the recorded windows' first samples, of those whose end is in a block."""
    rate_hz = front_end.sample_rate_hz
    blocks = StampedBlocks(rate_hz)
    ends_ns = deque(sorted(stamp - round(offset_s * 1e9) for stamp in stamps))
    starts = []
    for message in messages_of(bag, topic):
        now = stamp_ns(message)
        place = blocks.place(now, message.height)
        if place.restarted or not ends_ns:
            break
        while ends_ns:
            inside = round((ends_ns[0] - now) * 1e-9 * rate_hz)
            if inside > message.height:
                break
            ends_ns.popleft()
            if inside > 0:
                starts.append(place.first_sample + inside - front_end.samples)
    return starts
