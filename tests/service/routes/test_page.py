import pytest

from tests.service.sockets import talk


def test_the_page_and_the_documentation_load_nothing_from_elsewhere(client):
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in ("/", "/static/page.js", "/static/page.css", "/static/icon.svg", "/docs"):
        response = client.get(path).raise_for_status()
        for scheme in ("http://", "https://", "//cdn"):
            text = response.text.replace("http://www.w3.org/2000/svg", "").replace(str(client.base_url).rstrip("/"), "")
            assert f'"{scheme}' not in text, path
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/search", "/v1/index", "/healthz", "/readyz"} <= paths.keys()


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/../app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/page.js%00.css",
        "/static/..%5c..%5capp.py",
        "/static/" + "a" * 5000,
        "/static/%ff%fe",
        "/v1/documents/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/documents/../../etc/passwd",
        "/v1/documents/%00",
        "/v1/documents/a%00b",
        "/v1/documents/%ed%a0%80",
        "/v1/documents/" + "a" * 5000,
    ],
)
def test_no_path_reaches_a_file(address, path):
    answer = talk(address, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in (b"404", b"405", b"422"), answer[:300]
    assert b"root:" not in answer
    assert b"create_app" not in answer
