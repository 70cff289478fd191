"""Checks of a certificate and its key, before a server listens with them."""

from __future__ import annotations

import ssl
from pathlib import Path

from models.errors import InvalidOptionError
from service.settings import Settings


def check_tls(settings: Settings) -> None:
    """Refuse a certificate and a key that cannot be served with; none are fine.

    Raises:
        InvalidOptionError: one is given without the other, a file cannot be read, or they do not belong together.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        given, lacking = ("tls_key", "tls_certificate") if certificate is None else ("tls_certificate", "tls_key")
        raise InvalidOptionError(lacking, f"{given} is given without {lacking}: TLS needs both, plain HTTP neither")
    for param, path in (("tls_certificate", certificate), ("tls_key", key)):
        _check_readable(param, path)

    def refuse() -> str:
        # Without this, a prompt for the password would wait at the terminal, or for ever where there is none.
        raise InvalidOptionError("tls_key", f"tls_key {key} is encrypted: give one without a password")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=refuse)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = (
            "the key is another certificate's" if mismatch else f"not a certificate and a key in PEM format ({error})"
        )
        message = f"tls_certificate {certificate} with tls_key {key}: {reason}"
        raise InvalidOptionError("tls_certificate", message) from error


def _check_readable(param: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InvalidOptionError(param, f"{param} {path}: {error.strerror}") from error
