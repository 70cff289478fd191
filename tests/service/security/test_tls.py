import shutil
import ssl
import subprocess

import httpx
import pytest

from models import InvalidOptionError
from service import Settings
from service.http.server import running
from service.security.tls import check_tls


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "other"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )
    subprocess.run(
        [
            *("openssl", "ec", "-in", folder / "one.key", "-aes256", "-passout", "pass:word"),
            *("-out", folder / "locked.key"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_https_is_served_with_hsts(certificate, built):
    files = {"tls_certificate": certificate / "one.pem", "tls_key": certificate / "one.key"}
    served = Settings(index=built, port=0, auth="off", log_level="warning", watch_share=0, **files)
    trust = ssl.create_default_context(cafile=certificate / "one.pem")
    with running(served) as url:
        assert url.startswith("https://127.0.0.1:")
        answer = httpx.get(f"{url}/v1/index", verify=trust, trust_env=False)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https", "http"), trust_env=False)


@pytest.mark.parametrize(
    ("certificate_file", "key_file", "param", "message"),
    [
        ("one.pem", None, "tls_key", "tls_certificate is given without tls_key"),
        (None, "one.key", "tls_certificate", "tls_key is given without tls_certificate"),
        ("none.pem", "one.key", "tls_certificate", "No such file"),
        ("one.pem", "none.key", "tls_key", "No such file"),
        ("one.pem", "other.key", "tls_certificate", "the key does not belong to the certificate"),
        ("one.key", "one.key", "tls_certificate", "not a certificate and a key in PEM format"),
        ("one.pem", "locked.key", "tls_key", "is encrypted: give a key without a password"),
    ],
)
def test_an_unusable_certificate_is_refused_at_start(certificate, certificate_file, key_file, param, message):
    paths = [name and certificate / name for name in (certificate_file, key_file)]
    with pytest.raises(InvalidOptionError, match=message) as refused:
        check_tls(Settings(index="x", tls_certificate=paths[0], tls_key=paths[1]))
    assert refused.value.param == param
