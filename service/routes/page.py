"""The web page at ``/``; its files are part of the package, nothing is loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parent.parent / "web"
# Asked for anew each time, answered 304 where nothing changed: modules of two versions must not be mixed.
_FRESH = {"Cache-Control": "no-cache"}
_HEADERS = {
    **_FRESH,
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """The page's scripts, styles and icon."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, which a browser does not use again unasked."""
        response = await super().get_response(path, scope)
        response.headers.update(_FRESH)
        return response


@router.get("/")
async def page() -> FileResponse:
    """The search page."""
    return FileResponse(WEB / "index.html", headers=_HEADERS)
