"""What the server's routes take and give, in the form of OpenAPI."""

from typing import Any

from tunebench.serve.api.bodies import schemas

_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_REFUSALS = {
    400: "what the request holds does not suit the task, or is not allowed",
    401: "the token is missing or wrong",
    404: "no run of this name is served",
    408: "the request arrives too slowly",
    413: "the request is too long",
    415: "the request is not JSON",
    422: "the model fails on these texts, or the run cannot be loaded",
    429: "too many texts wait; see Retry-After",
    503: "the server stops",
    504: "there was no answer in time",
}


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    model = _gives("a served run", {"$ref": "#/components/schemas/Model"})
    models = {
        "type": "object",
        "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "tunebench serve", "version": "1", "description": "Finished runs that answer."},
        "paths": {
            "/predict": {
                "post": _route(
                    "answer texts",
                    _gives("one answer per text", _ANSWERS),
                    400,
                    401,
                    404,
                    408,
                    413,
                    415,
                    422,
                    429,
                    503,
                    504,
                    body="PredictBody",
                )
            },
            "/v1/models": {"get": _route("the served runs", _gives("the runs", models), 401)},
            "/v1/models/{name}": {
                "parameters": [_NAME],
                "get": _route("a served run", model, 401, 404, 503),
                "put": _route(
                    "serve a run under this name", {**model, "code": 201}, 400, 401, 408, 413, 415, 422, body="RunBody"
                ),
                "delete": _route("serve it no more", {"code": 204, "description": "removed"}, 401, 404, 503),
            },
            "/health": {"get": _route("whether the server works", _gives("it does"), 500)},
            "/ready": {"get": _route("whether it takes questions", _gives("it does"), 503)},
            "/metrics": {"get": _route("for Prometheus", {"code": 200, "description": "counters"}, 401)},
            "/openapi.json": {"get": _route("this document", _gives("OpenAPI"), 401)},
        },
        "components": {
            "schemas": {**schemas(), "Model": _MODEL, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_MODEL = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "run", "task", "objective", "technique")},
    "required": ["id", "run", "task", "objective", "technique"],
}
_ANSWERS = {
    "type": "object",
    "properties": {"model": {"type": "string"}, "answers": {"type": "array", "items": {"type": "object"}}},
    "required": ["model", "answers"],
}


def _gives(what: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"code": 200, "description": what, "content": {"application/json": {"schema": schema or {"type": "object"}}}}


def _route(summary: str, gives: dict[str, Any], *refusals: int, body: str | None = None) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    answer = {key: value for key, value in gives.items() if key != "code"}
    route: dict[str, Any] = {
        "summary": summary,
        "responses": {
            str(gives["code"]): answer,
            **{str(code): {"description": _REFUSALS.get(code, "it fails"), "content": error} for code in refusals},
        },
    }
    if body is not None:
        schema = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        route["requestBody"] = {"required": True, "content": {"application/json": schema}}
    return route
