"""Calling a function on untrusted bytes in a throw-away process.

Decoders crash, hang and eat memory on crafted files. Here they run in a child with limits on memory, CPU and time:
what goes wrong there costs one case. A child serves call after call, so that its start is paid once, and is replaced
when it fails. Requests and answers are JSON; arrays come back in anonymous memory. Nothing is ever unpickled.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import json
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.sandbox_child import ARRAY_TYPES, LENGTH_BYTES, MAXIMUM_ARRAYS, READY, UNSET_VARIABLES
from pipeline.errors import CaseError

_MAXIMUM_ANSWER_BYTES = 2**28
_SHORT_SECONDS = 5.0
_START_SECONDS = 120.0
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True)
class Limits:
    """What one call may use.

    Args:
        memory_bytes: Address space of the child, its libraries included.
        seconds: Time until the answer, and CPU time.
    """

    memory_bytes: int = 4 * 2**30
    seconds: float = 300.0


@dataclass(frozen=True)
class Answer:
    """What a task gave: JSON values, and arrays of the types in `ARRAY_TYPES`."""

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


class Sandbox:
    """A child process for untrusted input. One call at a time.

    Args:
        limits: What one call may use.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def call(self, task: str, **arguments: Any) -> Answer:
        """Run `task`, a `module:function` of this package that returns JSON values and arrays, in the child.

        A crash of a child that has served other calls is tried once more in a new one.

        Raises:
            CaseError: As the task raised it; `DECODER_CRASHED`, `DECODER_TIMEOUT` or `DECODER_MEMORY`; `UNEXPECTED`
                with type and place of any other exception.
        """
        fresh = self._child is None
        try:
            return self._exchange(task, arguments)
        except _DeadChildError as death:
            if not fresh and death.code == "DECODER_CRASHED":
                return self._last_try(task, arguments)
            raise CaseError(death.code, death.message, "decode") from None

    def close(self) -> None:
        """End the child, if there is one."""
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = self._socket = None

    def _last_try(self, task: str, arguments: dict[str, Any]) -> Answer:
        """Run a task in a new child."""
        try:
            return self._exchange(task, arguments)
        except _DeadChildError as death:
            raise CaseError(death.code, death.message, "decode") from None

    def _exchange(self, task: str, arguments: dict[str, Any]) -> Answer:
        """Send a request and return its answer; end the child if it gives none."""
        request = json.dumps({"task": task, "arguments": arguments, "seconds": self.limits.seconds}).encode()
        try:
            connection = self._connect()
            connection.settimeout(self.limits.seconds)
            connection.sendall(len(request).to_bytes(LENGTH_BYTES, "big") + request)
            return _receive(connection)
        except TimeoutError:
            self.close()
            message = f"the decoder gave no answer within {self.limits.seconds:g} s"
            raise _DeadChildError("DECODER_TIMEOUT", message) from None
        except (OSError, EOFError, ValueError, LookupError, TypeError):
            raise self._post_mortem() from None

    def _connect(self) -> socket.socket:
        """Return the connection to the child, starting one if there is none; its start takes no time of a call."""
        if self._socket is None:
            self._socket, theirs = socket.socketpair()
            environment = {name: value for name, value in os.environ.items() if name not in UNSET_VARIABLES}
            environment |= dict.fromkeys(_ONE_THREAD, "1") | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            code = f"from pipeline.archive.sandbox_child import serve; serve({theirs.fileno()})"
            environment["PIPELINE_SANDBOX_BYTES"] = str(self.limits.memory_bytes)
            self._child = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # decoders' messages quote what they read
                stderr=subprocess.DEVNULL,
            )
            theirs.close()
            self._socket.settimeout(_START_SECONDS)
            _read(self._socket, len(READY))
        return self._socket

    def _post_mortem(self) -> _DeadChildError:
        """Bury a child that broke off and say what it died of."""
        assert self._child is not None
        try:
            code = self._child.wait(_SHORT_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if -code in (signal.SIGXCPU, signal.SIGALRM):
            return _DeadChildError("DECODER_TIMEOUT", f"the decoder used up its {self.limits.seconds:g} s")
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _DeadChildError("DECODER_CRASHED", f"the decoder ended with {cause} instead of an answer")


class _DeadChildError(Exception):
    """The child gave no answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@functools.cache
def shared_sandbox(limits: Limits) -> Sandbox:
    """Return this process's sandbox of these limits; it ends with the process."""
    sandbox = Sandbox(limits)
    atexit.register(sandbox.close)
    return sandbox


def _receive(connection: socket.socket) -> Answer:
    """Read one answer. Everything in it is checked: the child may be under foreign control."""
    head, descriptors, _, _ = socket.recv_fds(connection, LENGTH_BYTES, MAXIMUM_ARRAYS)
    try:
        head += _read(connection, LENGTH_BYTES - len(head))
        size = int.from_bytes(head, "big")
        if size > _MAXIMUM_ANSWER_BYTES:
            raise ValueError(f"answer of {size} bytes")
        answer = json.loads(_read(connection, size))
        if "error" in answer:
            code, message, step = map(str, answer["error"])
            raise CaseError(code, message, step)
        layouts = zip(answer["arrays"], descriptors, strict=True)
        return Answer(answer["values"], {layout["name"]: _map(layout, fd) for layout, fd in layouts})
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _read(connection: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(data)


def _map(layout: dict[str, Any], descriptor: int) -> NDArray[Any]:
    """Return an array over a child's anonymous memory, which can no longer change its size."""
    shape, dtype = tuple(map(int, layout["shape"])), np.dtype(ARRAY_TYPES[layout["dtype"]])
    size = math.prod(shape) * dtype.itemsize
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    if min(shape) < 0 or os.fstat(descriptor).st_size != size:
        raise ValueError(f"array of {os.fstat(descriptor).st_size} bytes, expected {size}")
    if not size:
        return np.empty(shape, dtype)
    memory = mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return np.frombuffer(memory, dtype).reshape(shape)
