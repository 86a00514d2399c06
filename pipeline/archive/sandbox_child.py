"""The child's side of `pipeline.archive.sandbox`: limits first, then one task after another."""

from __future__ import annotations

import array
import fcntl
import importlib
import json
import math
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CaseError, describe_error

LENGTH_BYTES = 8
MAXIMUM_ARRAYS = 8
READY = b"!"
"""Said once, before the first request."""
ARRAY_TYPES = {"int16": "<i2", "uint8": "|u1", "bool": "|b1"}
"""Types of arrays that an answer may hold."""
UNSET_VARIABLES = ("LIVER_ID_KEY", "RAY_AUTH_TOKEN")
"""Secrets in the environment that the child has no use for."""
Result = tuple[dict[str, Any], Mapping[str, NDArray[Any]]]
_GRACE_SECONDS = 5


def serve(descriptor: int) -> None:
    """Answer requests until the other side hangs up.

    Args:
        descriptor: Socket that is connected to the parent.
    """
    memory = int(os.environ["PIPELINE_SANDBOX_BYTES"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's data
    connection = socket.socket(fileno=descriptor)
    connection.sendall(READY)
    while request := _receive(connection):
        _limit_time(request["seconds"])
        values, arrays = _answer(request)
        signal.alarm(0)
        _send(connection, values, arrays)


def _receive(connection: socket.socket) -> dict[str, Any] | None:
    """Read one request; None when the parent is gone."""
    head = connection.recv(LENGTH_BYTES, socket.MSG_WAITALL)
    if len(head) < LENGTH_BYTES:
        return None
    data = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    request: dict[str, Any] = json.loads(data)
    return request


def _limit_time(seconds: float) -> None:
    """Let the kernel end this process if a task takes too long, also when the parent is gone."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
    signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)


def _answer(request: dict[str, Any]) -> Result:
    """Run one task; what it raises becomes an error that names no patient."""
    try:
        module, name = request["task"].split(":")
        task: Callable[..., Result] = getattr(importlib.import_module(module), name)
        values, arrays = task(**request["arguments"])
        return {"values": values}, arrays
    except CaseError as error:
        reason = [error.code, error.message, error.step]
    except MemoryError:
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        reason = ["DECODER_MEMORY", f"the decoder asked for more than its {limit} bytes of memory", "decode"]
    except Exception as error:  # one poisoned file must not stop an archive
        reason = ["UNEXPECTED", describe_error(error), "decode"]
    return {"error": reason}, {}


def _send(connection: socket.socket, values: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Send an answer: the arrays' memory with the length, then the values."""
    layouts = [{"name": name, "shape": item.shape, "dtype": str(item.dtype)} for name, item in arrays.items()]
    data = json.dumps({**values, "arrays": layouts}).encode()
    descriptors = [_share(item) for item in arrays.values()]
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([len(data).to_bytes(LENGTH_BYTES, "big")], ancillary)
    connection.sendall(data)
    for descriptor in descriptors:
        os.close(descriptor)


def _share(values: NDArray[Any]) -> int:
    """Return anonymous memory that holds an array."""
    descriptor = os.memfd_create("array", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    data: memoryview = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    while data:
        data = data[os.write(descriptor, data) :]
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor
