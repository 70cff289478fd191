"""Checks the TLS certificate and its private key before the server starts."""

from __future__ import annotations

import ssl
from pathlib import Path

from models import InvalidOptionError
from service.settings import Settings


def check_tls(settings: Settings) -> None:
    """Check the certificate and the key of the settings; neither may be given, for plain HTTP.

    Raises:
        InvalidOptionError: only one is given, a file cannot be read, or the two do not match.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        given, missing = ("tls_key", "tls_certificate") if certificate is None else ("tls_certificate", "tls_key")
        raise InvalidOptionError(missing, f"{given} is given without {missing}: TLS needs both, plain HTTP neither")
    for param, path in (("tls_certificate", certificate), ("tls_key", key)):
        _check_readable(param, path)

    def refuse() -> str:
        # Without this, OpenSSL prompts for the password, and waits forever if there is no terminal.
        raise InvalidOptionError("tls_key", f"tls_key {key} is encrypted: give a key without a password")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=refuse)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = (
            "the key does not belong to the certificate"
            if mismatch
            else f"not a certificate and a key in PEM format ({error})"
        )
        message = f"tls_certificate {certificate} with tls_key {key}: {reason}"
        raise InvalidOptionError("tls_certificate", message) from error


def _check_readable(param: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InvalidOptionError(param, f"{param} {path}: {error.strerror}") from error
