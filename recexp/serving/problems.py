"""Errors as clients get them: RFC 9457 problem descriptions, which leak nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from recexp.streaming.events import KINDS

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An answer that is an error; `detail` is one clear sentence, `errors` say where."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.errors = errors


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response of a problem."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        document["errors"] = list(errors)
    return Response(to_json(document), status, dict(headers or {}), MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Return the response of what an endpoint, or the router, raised."""
    assert isinstance(error, HTTPException)
    detail = error.detail
    if not isinstance(error, Problem):  # the router's own, or what could not read the body
        method, path = request.method, request.url.path
        detail = {
            400: "the body cannot be read: expected JSON in UTF-8",
            404: f"there is no {shown(path)} here; see /docs",
            405: f"{shown(path)} does not take {method}; see /docs",
        }.get(error.status_code, detail)
    errors = getattr(error, "errors", ())
    return problem(error.status_code, detail, errors=errors, headers=error.headers)


async def on_invalid(request: Request, error: Exception) -> Response:
    """Return the response of a request that is not what the API describes."""
    assert isinstance(error, RequestValidationError)
    errors = [_one(dict(found)) for found in error.errors()[:20]]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{first['location']}: {first['message']}{more}"
    return problem(422, detail, errors=errors)


def shown(text: Any) -> str:
    """Return what a client sent, short enough to be said back."""
    text = str(text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _one(found: Mapping[str, Any]) -> dict[str, str]:
    """One error of pydantic, without what was sent and without the names of its branches."""
    *way, last = [one for one in map(str, found["loc"]) if not one.startswith("#")]
    place = [*(one for one in way if one not in KINDS), last]
    told = {
        "extra_forbidden": "not known here",
        "json_invalid": f"no JSON: {found.get('ctx', {}).get('error')}",
        "union_tag_not_found": "expected a kind",
        "union_tag_invalid": f"kind: expected {found.get('ctx', {}).get('expected_tags')}",
    }
    message = told.get(found["type"], str(found["msg"]).removeprefix("Value error, "))
    return {"location": ".".join(place), "message": message[:1].lower() + message[1:]}
