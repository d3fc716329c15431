"""The API reference and the OpenAPI document as data, to be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).parents[2] / "api-ref" / "source"
SAMPLES = SOURCE / "samples"
CHAPTERS = sorted(SOURCE.glob("*.inc"))
PARAMETERS: dict[str, dict[str, Any]] = yaml.load(
    (SOURCE / "parameters.yaml").read_text(), yaml.CSafeLoader
)
STATUSES: dict[int, dict[str, str]] = yaml.load(
    (SOURCE / "http-status.yaml").read_text(), yaml.CSafeLoader
)

JSON = "application/json"
PREFIX = "contextualization."
METHODS = {"get", "head", "put", "post", "patch", "delete"}
EVERYWHERE = {"OpenStack-API-Version", "X-Openstack-Request-Id"}
"""Headers of every call; the reference names them once."""


@dataclass(frozen=True)
class Call:
    """One call, as the reference describes it."""

    name: str
    text: str

    def statuses(self) -> set[int]:
        lists = re.findall(
            r"^\.\. rest_status_code::.*\n\n((?:   - .*\n)+)", self.text, re.MULTILINE
        )
        return {int(status) for each in lists for status in re.findall(r"- (\d+)", each)}

    def codes(self) -> set[str]:
        """Return the error codes of this call, without those of every call."""
        found = re.search(r"^Error codes: ((?:.+\n)+)", self.text, re.MULTILINE)
        return set(re.findall(r"``(\w+)``", found[1])) if found else set()

    def part(self, heading: str) -> str:
        """Return everything below ``Request`` or ``Response``."""
        _, _, after = self.text.partition(f"\n{heading}\n{'-' * len(heading)}\n")
        return re.split(r"^\w+\n-+\n", after, maxsplit=1, flags=re.MULTILINE)[0]

    def parameters(self, heading: str, where: str) -> set[str]:
        """Return the names of the parameters in the path, the query, the headers or the body."""
        return {
            name
            for name, key in named_parameters(self.part(heading))
            if PARAMETERS[key]["in"] == where
        }

    def words(self) -> set[str]:
        """Return all code in the descriptions of its parameters."""
        texts = [PARAMETERS[key]["description"] for _, key in named_parameters(self.text)]
        printed = re.findall(r"``([^`]+)``", " ".join(texts))
        return {word for each in printed for word in re.findall(r"\w+", each)}

    def samples(self, kind: str) -> list[str]:
        """Return the file names of its samples: requests or responses."""
        found = re.findall(r"literalinclude:: samples/(\S+)", self.text)
        return [name for name in found if name.partition(".")[0].endswith(kind)]


def named_parameters(text: str) -> list[tuple[str, str]]:
    """Return name and key of every parameter in a text; lines about a status have the same form."""
    return re.findall(r"^   - (\D[\w.-]*): (\w+)$", text, re.MULTILINE)


@cache
def calls() -> dict[str, Call]:
    """Return all calls of the reference, by names such as ``GET /v1/stacks``."""
    found = {}
    for chapter in CHAPTERS:
        parts = re.split(r"^(?=\.\. rest_method::)", chapter.read_text(), flags=re.MULTILINE)
        for part in parts[1:]:
            name = part.partition("\n")[0].partition(":: ")[2]
            assert name not in found, f"{name} is documented twice"
            found[name] = Call(name, part)
    return found


def shared_codes() -> tuple[set[str], set[str]]:
    """Return the codes of every call, and of every call with a token."""
    text = (SOURCE / "errors.inc").read_text()
    lists = re.findall(r"^Every call[^:]*:\n\n((?:``.+\n)+)", text, re.MULTILINE)
    every, with_token = (set(re.findall(r"``(\w+)``", each)) for each in lists)
    return every, with_token


class Operation:
    """One call, as the OpenAPI document describes it."""

    def __init__(self, document: dict[str, Any], path: str, method: str) -> None:
        self._document = document
        item = document["paths"][path]
        self.about: dict[str, Any] = item[method]
        self._parameters = [
            self.resolve(p) for p in [*item.get("parameters", []), *self.about["parameters"]]
        ]

    def resolve(self, what: dict[str, Any]) -> dict[str, Any]:
        """Return the schema to which a reference points."""
        while "$ref" in what:
            found: Any = self._document
            for step in what["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            what = found
        return what

    def parameters(self, where: str) -> dict[str, dict[str, Any]]:
        return {p["name"]: p for p in self._parameters if p["in"] == where}

    def responses(self) -> dict[int, dict[str, Any]]:
        return {int(status): answer for status, answer in self.about["responses"].items()}

    def codes(self) -> dict[int, set[str]]:
        """Return the error codes by status, as listed in the descriptions."""
        return {
            status: set(re.findall(r"^- `(\w+)`", answer["description"], re.MULTILINE))
            for status, answer in self.responses().items()
            if status >= 400
        }

    def request_schema(self) -> dict[str, Any] | None:
        content = self.about.get("requestBody", {}).get("content", {})
        return content[JSON]["schema"] if content else None

    def response_schemas(self) -> list[dict[str, Any]]:
        """Return the responses that have a JSON body and report success."""
        return [
            answer["content"][JSON]["schema"]
            for status, answer in self.responses().items()
            if status < 300 and JSON in answer.get("content", {})
        ]

    def response_headers(self) -> set[str]:
        """Return the responses that are not errors."""
        return {
            name
            for status, answer in self.responses().items()
            if status < 400
            for name in answer["headers"]
        }

    def fields(self, schema: dict[str, Any], *, deep: bool) -> set[str]:
        """Return the names of a body's fields; with ``deep`` also nested ones, as ``outer.inner``."""
        schema = self.resolve(schema)
        for choice in {"anyOf", "oneOf"} & schema.keys():
            if "properties" not in schema:  # one body or another
                return set().union(*(self.fields(each, deep=deep) for each in schema[choice]))
        properties = schema.get("properties", {})
        found = set(properties)
        if deep:
            for name, inside in properties.items():
                found |= {f"{name}.{inner}" for inner in self.fields(inside, deep=True)}
            beside = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
            found = found.union(*(self.fields(each, deep=True) for each in beside))
        return found


def operations(document: dict[str, Any]) -> dict[str, Operation]:
    """Return all operations of an OpenAPI document, by names as in :func:`calls`."""
    return {
        f"{method.upper()} {path}": Operation(document, path, method)
        for path, item in document["paths"].items()
        for method in item.keys() & METHODS
    }
