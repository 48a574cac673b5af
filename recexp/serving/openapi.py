"""The description of the API: every answer there can be, errors too."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recexp.serving.bodies import Bodies
from recexp.serving.problems import MEDIA_TYPE
from recexp.serving.schemas import ProblemDetails

_ALWAYS = {"400": "The request cannot be read", "503": "Not ready, or the store is out of reach"}
_OF_BODIES = {"413": "The body is too large", "415": "The body is no JSON"}
_OF = {
    "/users/{user}/recommendations": {"404": "Unknown user or model"},
    "/users/{user}/profile": {"404": "Unknown user or model"},
    "/items/{item}/similar": {
        "404": "Unknown item or model",
        "409": "The algorithm does not compare items, or the item is too new",
    },
    "/recommendations": {"404": "Unknown item or model"},
    "/events": {"409": "Another event has this id", "429": "Too many events"},
}


def describe(app: FastAPI, bodies: Bodies, filters: str, *, token: bool) -> dict[str, Any]:
    """Complete the OpenAPI description of `app`, and return it.

    `filters` is the pattern of those that there are, empty if there are none; `token` says whether
    one is needed.
    """
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for path, body in {"/recommendations": bodies.history, "/events": bodies.events}.items():
        schema = body.json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        if "properties" in schema:
            schemas[schema["title"]] = schema
            schema = {"$ref": _REF.format(model=schema["title"])}
        document["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template=_REF)
    schemas |= schemas["ProblemDetails"].pop("$defs", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _limit(schemas["History"]["properties"]["filter"], filters)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for one in operation.get("parameters", ()):
                if one["name"] == "filter":
                    _limit(one["schema"], filters)
            answers = operation["responses"]
            said = _ALWAYS | _OF.get(path, {})
            if method == "post":
                said |= _OF_BODIES
            if method == "post" or "422" in answers:
                said["422"] = "The request is not what is described here"
            if token and path != "/health":
                said["401"] = "The token is missing or wrong"
                operation["security"] = [{"token": []}]
            answers |= {status: _problem(text) for status, text in said.items()}
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's way
    return document


_REF = "#/components/schemas/{model}"


def _limit(schema: dict[str, Any], filters: str) -> None:
    if filters:
        schema["items"]["pattern"] = filters
    else:
        schema["maxItems"] = 0


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="ProblemDetails")}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}
