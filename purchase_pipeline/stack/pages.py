"""Pages that Dagster's web server serves besides its UI: the sales report, and the documentation of a checkout."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from purchase_pipeline.settings import PROJECT, REPORT_PATH, current_settings, is_checkout

# The report shows other people's data, and this origin can start runs: the report's scripts get an origin of their own,
# which reaches nothing here, and no network.
_REPORT_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
    ),
}
_IMAGES = {".png": "image/png", ".svg": "image/svg+xml"}
_NO_REPORT = (
    "There is no sales report yet: it is written within a minute after the first batches are loaded.\n"
)
_NO_PAGE = (
    "This page is not installed with the package. To link to a repository, set PURCHASE_REPOSITORY_URL.\n"
)


def sales_report(request: Request) -> Response:  # noqa: ARG001  (as Starlette calls it)
    """Serve the sales report as it was written last."""
    report = current_settings().report_file
    if not report.is_file():
        return PlainTextResponse(_NO_REPORT, status_code=404)
    return FileResponse(report, headers=_REPORT_HEADERS)


def documentation(request: Request) -> Response:
    """Serve a page of the documentation as text, or a picture of it."""
    folder = PROJECT / "docs"
    file = (folder / request.path_params["page"]).resolve()
    if not (is_checkout(PROJECT) and file.is_relative_to(folder) and file.is_file()):
        return PlainTextResponse(_NO_PAGE, status_code=404)
    headers = {"Content-Security-Policy": "sandbox; default-src 'none'"}
    return FileResponse(file, headers=headers, media_type=_media_type(file))


def _media_type(file: Path) -> str:
    return _IMAGES.get(file.suffix, "text/plain; charset=utf-8")


ROUTES = [Route(REPORT_PATH, sales_report), Route("/docs/{page:path}", documentation)]
