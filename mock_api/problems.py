"""Error responses: `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"

_DETAIL_BY_STATUS = {404: "Unknown route: see /docs", 405: "Method not allowed: use GET"}
_DETAIL_BY_ERROR = {
    ("param", "greater_than_equal"): "Number of purchases must be at least {ge}",
    ("param", "less_than_equal"): "Number of purchases must be at most {le}",
}
_DETAIL_BY_PARAMETER = {
    "param": "Number of purchases must be an integer",
    "lote": "lote must have 1 to 200 characters",
    "defects": "defects must be a number from 0 to 1",
}


class Problem(BaseModel):
    """One error (RFC 9457); `detail` says how to fix the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, detail: str) -> Problem:
    """Build a problem; the title of an `about:blank` problem is the status phrase."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)


def problem_answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Build the response of a problem."""
    return JSONResponse(problem(status, detail).model_dump(), status, headers, MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Send every error of the application as a problem."""
    app.exception_handler(HTTPException)(_answer_http_error)
    app.exception_handler(RequestValidationError)(_answer_invalid_request)


async def _answer_http_error(_: Request, error: HTTPException) -> Response:
    detail = _DETAIL_BY_STATUS.get(error.status_code, error.detail)
    return problem_answer(error.status_code, detail, error.headers)


async def _answer_invalid_request(_: Request, error: RequestValidationError) -> Response:
    return problem_answer(422, "; ".join(map(_detail, error.errors())))


def _detail(error: Mapping[str, Any]) -> str:
    parameter = error["loc"][-1]
    template = _DETAIL_BY_ERROR.get((parameter, error["type"]), _DETAIL_BY_PARAMETER[parameter])
    return template.format_map(error.get("ctx", {}))
