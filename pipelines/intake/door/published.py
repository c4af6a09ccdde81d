"""What the door publishes of itself: an OpenAPI schema that says what it takes and answers."""

import re
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from pipelines.intake.door import cloud_events
from pipelines.intake.door.bodies import JSON
from pipelines.intake.door.event_form import event_form
from pipelines.intake.door.limits import DEFAULT_DOOR_LIMITS

_REFERENCES: Final = "#/components/schemas/{name}"
_WHOLE: Final = re.compile(r"^\\A(.*)\\Z$")
_SCHEMES: Final = {"key": {"type": "http", "scheme": "bearer"}}


def _answer(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": _REFERENCES.format(name=schema)}
    return {"description": description, "content": {JSON: {"schema": reference}}}


_REFUSED: Final = {
    "400": "the body was cut off",
    "401": "no valid API key",
    "403": "a project that is not one of the key's tenant",
    "408": "the body did not arrive in time",
    "409": "an event id that stands for another event; nothing was kept",
    "413": "a body or a number of events above the caps",
    "415": "a content type, encoding or charset that is not taken",
    "422": "events that are not as the contract has them; nothing was kept",
    "429": "the door is busy; send the same request again",
    "503": "the journal cannot be written; nothing was kept",
}
EVENTS_EXTRA: Final[dict[str, Any]] = {
    "security": [{"key": []}],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "anyOf": [
                        {"$ref": _REFERENCES.format(name="Event")},
                        {
                            "type": "array",
                            "items": {"$ref": _REFERENCES.format(name="Event")},
                            "maxItems": DEFAULT_DOOR_LIMITS.batch_events,
                        },
                    ]
                }
            },
            cloud_events.STRUCTURED: {"schema": {"$ref": _REFERENCES.format(name="CloudEvent")}},
            cloud_events.BATCHED: {
                "schema": {
                    "type": "array",
                    "items": {"$ref": _REFERENCES.format(name="CloudEvent")},
                    "maxItems": DEFAULT_DOOR_LIMITS.batch_events,
                }
            },
        },
    },
    "responses": {
        "202": _answer("kept: it survives a power cut, and will land", "Kept"),
        **{code: _answer(text, "Refused") for code, text in _REFUSED.items()},
    },
}
HEALTH_EXTRA: Final[dict[str, Any]] = {"responses": {"200": {"description": "it is open"}}}
_ANSWERS: Final[dict[str, Any]] = {
    "Kept": {
        "type": "object",
        "required": ["accepted", "known"],
        "properties": {
            "accepted": {"type": "integer", "description": "events kept now"},
            "known": {"type": "integer", "description": "events kept before, word for word"},
        },
    },
    "Refused": {
        "type": "object",
        "required": ["error", "request_id"],
        "properties": {
            "error": {"type": "string"},
            "request_id": {"type": "string"},
            "refused": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer"},
                        "event_id": {"type": ["string", "null"]},
                        "reason": {"type": "string"},
                    },
                },
            },
            "refused_events": {"type": "integer"},
            "conflicting_ids": {"type": "array", "items": {"type": "string"}},
            "conflicts": {"type": "integer"},
        },
    },
}


def publish(app: FastAPI) -> None:
    """Let *app* publish the schemas of events, envelopes and answers."""
    written = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = written()
            _, forms = msgspec.json.schema_components(
                [event_form(published=True), cloud_events.envelope_schema()],
                ref_template=_REFERENCES,
            )
            components = schema.setdefault("components", {})
            components["schemas"] = {name: _portable(each) for name, each in forms.items()}
            components["schemas"] |= _ANSWERS
            components["securitySchemes"] = _SCHEMES
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _portable(schema: Any) -> Any:
    """Write patterns as every validator reads them: Python's anchors are its own."""
    if isinstance(schema, dict):
        return {
            name: _WHOLE.sub(r"^\1$", each)
            if name == "pattern" and isinstance(each, str)
            else _portable(each)
            for name, each in schema.items()
        }
    return [_portable(each) for each in schema] if isinstance(schema, list) else schema
