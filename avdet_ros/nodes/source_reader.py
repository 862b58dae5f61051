"""The thread that reads sound from a source in time, whatever the rest of the node does."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
import traceback

from avdet_ros.audio.clock import SampleClock
from avdet_ros.errors import AvdetError
from avdet_ros.sources.base import BLOCK_SAMPLES, Block, Source, SourceLost, StampedBlock

READ_TIMEOUT_S = 0.1
"""Longest wait of a read, and so the time it takes to stop."""

OPEN_S = 2.0
"""How long a node waits for a device to open; a sound server that hangs never answers."""

STOP_S = 2.0
"""How long the thread may take to end; a sound server that hangs never lets go either."""

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 2.0

STILL_S = 1.0
"""ROS time that has not moved for this long counts as paused."""


class SourceReader:
    """Reads a source in its own thread and reopens it when it fails.

    Attributes:
        source: the source.
        clock: converts sample time to ROS time.
        samples: number of samples read.
        reopened: how often the source was lost and came back.
        fault: why there is no sound now; '' when there is.
        last_s: monotonic time of the newest block, None before the first.
        still: whether ROS time stands still; sound of that time has no stamp and is left out.
    """

    def __init__(
        self,
        source: Source,
        ros_now_s: Callable[[], float],
        take: Callable[[StampedBlock], None],
        began: Callable[[], None],
        log: Callable[[str], None],
        alive: Callable[[], bool],
        patience_s: float | None = None,
        wanted: Callable[[], int] = lambda: BLOCK_SAMPLES,
    ) -> None:
        """Prepare without opening the source.

        Args:
            source: what to read.
            ros_now_s: ROS time in seconds.
            take: receives each block with its times, in the thread.
            began: called, in the thread, when the source was reopened.
            log: logs a sentence.
            alive: whether ROS still runs; when it ends, so does the thread, silently.
            patience_s: how long `start` waits for the source to open; None: without limit.
            wanted: number of samples to read at once; called in the thread before each block.
        """
        self.source = source
        self.clock = SampleClock()
        self.samples = 0
        self.reopened = 0
        self.fault = ''
        self.last_s: float | None = None
        self.still = False
        self._ros_s, self._moved_s = -1.0, 0.0
        self._now_s, self._take, self._began, self._log = ros_now_s, take, began, log
        self._alive, self._patience_s, self._wanted = alive, patience_s, wanted
        self._answered = threading.Event()
        self._refusal: Exception | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name='sound input', daemon=True)

    @property
    def busy(self) -> bool:
        """Whether the thread still uses the source, which must then be left alone."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Open the source and start to read.

        A source that does not answer sets `fault` until it answers, or refuses and is tried again.

        Raises:
            AvdetError: it cannot be opened.
        """
        self._thread.start()
        if not self._answered.wait(self._patience_s):
            self._log(f'{self.source.label} does not answer; waiting for it')
        elif self._refusal is not None:
            self._ending.set()
            raise self._refusal

    def stop(self) -> None:
        """End the thread, which closes the source; if it hangs, abandon it."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        """Make all calls to the source's driver, so that nothing else hangs with it."""
        try:
            self._open()
            while not self._ending.is_set() and self._read():
                pass
        finally:
            self.source.stop()

    def _open(self) -> None:
        self.fault = f'{self.source.label}: expected it to open, it does not answer'
        try:
            self.source.start()
            self.fault = ''
            self._answered.set()
        except Exception as error:
            self._refusal = error
            self._answered.set()
            if not self._ending.wait(FIRST_BACKOFF_S):  # `start`, which raises it, no longer waits
                self._note_failure(error)
                self._reopen(self.fault)

    def _read(self) -> bool:
        """Read once; return False when there is nothing more to read."""
        try:
            block = self.source.read(READ_TIMEOUT_S, self._wanted())
            if block is not None:
                self._handle(block)
            return block is not None or not self.source.exhausted
        except SourceLost as error:
            self._reopen(str(error))
        except AvdetError as error:
            if self.source.may_hang:
                self._reopen(str(error))
                return True
            # If reopened, it would start from the beginning and fail at the same place.
            self.source.damage, self.source.exhausted = str(error), True
            return False
        except Exception as error:
            if not self._alive():
                return False
            self._log(traceback.format_exc())
            self._reopen(f'{self.source.label}: {type(error).__name__}: {error}')
        return True

    def _handle(self, block: Block) -> None:
        if self._ending.is_set():  # the driver hung meanwhile, and the reader was stopped
            return
        now_s = self.last_s = time.monotonic()
        self.samples += len(block.samples)
        ros_s = self._now_s()
        if self._paused(ros_s, now_s):
            return
        ros_time_s = block.time_s + ros_s - now_s
        rate_hz = self.source.sample_rate_hz
        self.clock.update(block.first_sample / rate_hz, ros_time_s)
        line = self.clock.line()
        self._take(StampedBlock(block, lambda sample: round(line.to_ros(sample / rate_hz) * 1e9)))

    def _paused(self, ros_s: float, now_s: float) -> bool:
        """Whether ROS time stands still; when it continues, clock and windows are reset."""
        if ros_s != self._ros_s:
            self._ros_s, self._moved_s = ros_s, now_s
            if self.still:
                self.still = False
                self.clock.reset()
                self._began()
        # Time that has not begun is 0, which is no stamp.
        self.still = ros_s <= 0 or now_s - self._moved_s > STILL_S
        return self.still

    def _note_failure(self, error: Exception) -> None:
        """Note why the source cannot be opened; log an unexpected error once."""
        before, self.fault = self.fault, str(error)
        if not isinstance(error, AvdetError):
            self.fault = f'{self.source.label}: {type(error).__name__}: {error}'
            if self.fault != before and self._alive():
                self._log(''.join(traceback.format_exception(error)))

    def _reopen(self, why: str) -> None:
        self.fault = why
        self._log(f'{why}; trying to open it again')
        self.source.stop()
        backoff_s = FIRST_BACKOFF_S
        while not self._ending.wait(backoff_s):
            try:
                self.source.start()
            except Exception as error:
                self._note_failure(error)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
                continue
            if self._ending.is_set():
                return
            self.clock.reset()
            self._began()
            self.reopened += 1
            self.fault = ''
            self._log(f'{self.source.label} is back')
            return
