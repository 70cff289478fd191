"""Bytes sent to a service as they are."""

import socket
from contextlib import suppress


def talk(address, sent, patience=10):
    """Send bytes; return what comes back until the service closes, or is silent for ``patience`` seconds."""
    received = b""
    with socket.create_connection(address, timeout=patience) as connection, suppress(TimeoutError, ConnectionError):
        connection.sendall(sent)
        while got := connection.recv(65536):
            received += got
    return received
