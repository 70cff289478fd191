"""The web page at ``/``. All its files are part of the package; it loads nothing from other hosts."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parent.parent / "web"
# Revalidated on each use, 304 if unchanged: a browser must not mix modules of two versions.
_NO_CACHE = {"Cache-Control": "no-cache"}
_HEADERS = {
    **_NO_CACHE,
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """The page's scripts, styles and icon."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file that browsers revalidate on each use."""
        response = await super().get_response(path, scope)
        response.headers.update(_NO_CACHE)
        return response


@router.get("/")
async def page() -> FileResponse:
    """The search page."""
    return FileResponse(WEB / "index.html", headers=_HEADERS)
