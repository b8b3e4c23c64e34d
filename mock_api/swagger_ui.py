"""The page of the API, `/docs`: Swagger UI from an installed package, so that it works without internet."""

import base64
import hashlib

from fastapi import FastAPI
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

_SCRIPT = """
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""

_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Purchase API</title>
<link rel="icon" href="swagger-ui/favicon-32x32.png">
<link rel="stylesheet" href="swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger-ui/swagger-ui-bundle.js"></script>
<script>{_SCRIPT}</script>
</body>
</html>
"""

_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self'; "
    f"script-src 'self' 'sha256-{base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_swagger_ui(app: FastAPI) -> None:
    """Serve the page and its files; `/` redirects to it. All its URLs are relative, for a prefix of a proxy."""

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("docs")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    app.mount("/swagger-ui", StaticFiles(packages=[("fastapi_swagger", "resources")]))
