"""Calls of functions in the words of a template, on one line."""

from __future__ import annotations

import json
import re

from factstore.migrate.template import Template

_BARE = re.compile(r"[A-Za-z_][\w-]*(?:(?:::|[./])[\w-]+)*")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.:@-]")
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


class Functions:
    """Writes names and calls for a template, in flow style."""

    def __init__(self, template: Template) -> None:
        self._json = template.is_json
        self._hot = template.words.is_hot

    def text(self, value: str) -> str:
        """Return a string, quoted if it must be."""
        if not self._json and _BARE.fullmatch(value) and value.lower() not in _NOT_TEXT:
            return value
        return json.dumps(value, ensure_ascii=False)

    def resource(self, name: str) -> str:
        """Return a reference to a resource."""
        return self._call("get_resource" if self._hot else "Ref", self.text(name))

    def attribute(self, resource: str, name: str) -> str:
        """Return an attribute of a resource."""
        pair = f"[{self.text(resource)}, {self.text(name)}]"
        return self._call("get_attr" if self._hot else "Fn::GetAtt", pair)

    def context_url(self, grant: str) -> str:
        """Return the URL of the context of a grant's data bag."""
        url = self.attribute(grant, "url")
        if self._hot:  # list_join is newer than the first templates
            return f'{{str_replace: {{template: "$url/context", params: {{"$url": {url}}}}}}}'
        return self._call("Fn::Join", f'["", [{url}, "/context"]]')

    def stack_prefixed(self, name: str) -> str:
        """Return a name of a data bag that begins with the name of the stack."""
        name = _NOT_IN_NAME.sub("_", name)
        if self._hot:
            stack = '{get_param: "OS::stack_name"}'
            # The name is a value of its own, so that a merge script which copies the resource finds it.
            params = f'{{"$stack": {stack}, "$name": {self.text(name)}}}'
            return f'{{str_replace: {{template: "$stack-$name", params: {params}}}}}'
        stack = self._call("Ref", json.dumps("AWS::StackName"))
        return self._call("Fn::Join", f'["-", [{stack}, {json.dumps(name)}]]')

    def _call(self, name: str, argument: str) -> str:
        return f"{{{json.dumps(name) if self._json or '::' in name else name}: {argument}}}"
