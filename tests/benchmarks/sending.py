"""Many packets in little time: AF_PACKET, and one sendmmsg call for hundreds of frames.

The frames go into one end of a veth pair, and the kernel takes each through the whole receive path of the other end
before sendmmsg returns: softirqs run where the frame was sent, on this processor. A call's time is therefore the cost
of sending and of receiving its packets. It is about 0.7 microseconds a packet without any rule (Linux 6.18).

The thread's own time leaves out what other processes take of the processor, and is the better clock, but only where
the kernel charges softirqs to the thread that they interrupt (without CONFIG_IRQ_TIME_ACCOUNTING): see `best_clock`.
"""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from kernel.namespace import Namespace

BATCH: Final = 256
"""Frames a call: below net.core.netdev_max_backlog (1000), so that none is dropped on the way."""

Clock = Callable[[], int]
"""Nanoseconds."""

_PACKET_QDISC_BYPASS: Final = 20
_SOL_PACKET: Final = 263
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class Sender:
    """Sends the same frames into a device, over and over.

    Args:
        namespace: where the device is.
        device: its name.
        frames: what to send, in turn.
    """

    def __init__(self, namespace: Namespace, device: str, frames: Sequence[bytes]) -> None:
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((device, 0))
        self._socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        self._frames = [frames[number % len(frames)] for number in range(BATCH)]
        self._vectors = [_Vector(frame, len(frame)) for frame in self._frames]
        self._messages = (_Message * BATCH)(
            *(_Message(_Header(vectors=ctypes.pointer(vector), vector_count=1)) for vector in self._vectors)
        )
        self.sent = 0

    def send(self, batches: int, clock: Clock) -> float:
        """Send so many batches; the nanoseconds that a packet took by a clock."""
        descriptor = self._socket.fileno()
        began = clock()
        for _ in range(batches):
            if _LIBC.sendmmsg(descriptor, self._messages, BATCH, 0) != BATCH:
                raise OSError(ctypes.get_errno(), "sendmmsg")
        took = clock() - began
        self.sent += batches * BATCH
        return took / (batches * BATCH)


def best_clock(sender: Sender) -> Clock:
    """The thread's own time if it has nearly all that a call takes at its quickest, else the time on the wall."""
    least = {
        clock: min(sender.send(1, clock) for _ in range(200)) for clock in (time.thread_time_ns, time.perf_counter_ns)
    }
    charged = least[time.thread_time_ns] > 0.8 * least[time.perf_counter_ns]
    return time.thread_time_ns if charged else time.perf_counter_ns


def stay_on_one_processor() -> None:
    """Keep this process, and so the receive path of its packets, on one processor."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
