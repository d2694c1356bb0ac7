"""The description of the JSON API, made from the endpoints: `spanwise annotate openapi` prints it.

`docs/reference/openapi.json` is a copy, which a test keeps true.
"""

import inspect
import re
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from spanwise.annotate.web.endpoints import Endpoint
from spanwise.annotate.web.routes import ENDPOINTS

_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "required": ["status", "detail"],
    "properties": {"status": {"type": "integer"}, "detail": {"type": "string"}},
    "description": "An error. 409 adds `current` or `reason`, 422 adds `problems`, 429 and 503 add `retry_after`.",
}


def api_description() -> dict[str, Any]:
    """The OpenAPI 3.1 document of all endpoints under /api."""
    endpoints = [endpoint for endpoint in ENDPOINTS if endpoint.is_api]
    schemas = _schemas(endpoints)
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    components: dict[str, Any] = {"Problem": _PROBLEM}
    for _, definitions in schemas.values():
        components |= definitions
    return {
        "openapi": "3.1.0",
        "info": {"title": "Spanwise annotation", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "spanwise-{project}"},
            },
        },
    }


def _schemas(endpoints: list[Endpoint]) -> dict[tuple[int, JsonSchemaMode], tuple[dict[str, Any], dict[str, Any]]]:
    """The schema of each type, and the definitions that it refers to, by the type's id and direction."""
    wanted: list[tuple[Any, JsonSchemaMode]] = []
    for endpoint in endpoints:
        if endpoint.takes is not None:
            wanted.append((endpoint.takes, "validation"))
        if endpoint.gives is not None:
            wanted.append((endpoint.gives, "serialization"))
    schemas: dict[tuple[int, JsonSchemaMode], tuple[dict[str, Any], dict[str, Any]]] = {}
    for kind, mode in wanted:
        schema = TypeAdapter[Any](kind).json_schema(mode=mode, ref_template=_REFERENCE)
        schemas[id(kind), mode] = (schema, schema.pop("$defs", {}))
    return schemas


def _operation(
    endpoint: Endpoint, schemas: dict[tuple[int, JsonSchemaMode], tuple[dict[str, Any], dict[str, Any]]]
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done."}
    if endpoint.gives is not None:
        schema = schemas[id(endpoint.gives), "serialization"][0]
        answer["content"] = {"application/json": {"schema": schema}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.handle.__name__.removeprefix('api_')}",
        "summary": inspect.getdoc(endpoint.handle),
        "description": f"Needs the right to {endpoint.need}."
        + (f" Tokens need the scope {endpoint.scope}." if endpoint.scope else " Tokens do not work here."),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", endpoint.path)
        ],
        "security": [{"session": []}, *([{"token": []}] if endpoint.scope else [])],
        "responses": {str(endpoint.status): answer, "default": {"description": "An error.", "content": problem}},
    }
    if endpoint.takes is not None:
        schema = schemas[id(endpoint.takes), "validation"][0]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation
