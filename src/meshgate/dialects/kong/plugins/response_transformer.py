"""Kong's `response-transformer`: the headers of answers (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins import transforms
from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.schema import Items
from meshgate.model.policies.change import FieldChanges
from meshgate.model.policy import ResponseTransformer


class Changes(Config):
    """What one step does to headers, and to JSON bodies."""

    json_: Annotated[Items[str], Field(alias="json")] = ()
    headers: Items[str] = ()


class TypedChanges(Changes):
    """A step that can say what JSON values become."""

    json_types: Items[Literal["boolean", "number", "string"]] = ()


class ResponseTransformerConfig(Config):
    """Every field of the plugin."""

    remove: Changes = Changes()
    rename: Changes = Changes()
    replace: TypedChanges = TypedChanges()
    add: TypedChanges = TypedChanges()
    append: TypedChanges = TypedChanges()


def lower_response_transformer(config: ResponseTransformerConfig, report: Report) -> ResponseTransformer:
    """The policy; changes of bodies close it (MG1104), for they may hide something."""
    for step in ("remove", "rename", "replace", "add", "append"):
        if getattr(config, step).json_:
            message = "bodies are not changed here; the plugin stays closed"
            report.error("MG1104", (step, "json"), message, "let the service do it")
    return ResponseTransformer(
        headers=FieldChanges(
            remove=transforms.header_names(config.remove.headers, ("remove", "headers"), report),
            rename=transforms.header_renames(config.rename.headers, ("rename", "headers"), report),
            replace=transforms.header_pairs(config.replace.headers, ("replace", "headers"), report),
            add=transforms.header_pairs(config.add.headers, ("add", "headers"), report),
            append=transforms.header_pairs(config.append.headers, ("append", "headers"), report),
        ),
        origin=report.origin(),
    )
