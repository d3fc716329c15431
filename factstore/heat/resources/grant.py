"""``OS::FactStore::Grant``: what an instance without a Keystone user shows to factstore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from heat.common import exception
from heat.engine import attributes, constraints, function, properties, resource

from factstore.client import errors
from factstore.heat.resources import agent_config
from factstore.heat.resources.bag_scoped import YEAR, InsideBag, bag_schema, curl, named


class Grant(InsideBag):
    """A grant for one member, or for all members of a group.

    An instance that has it reads the data bag, and writes what is its own. With the grant of a group,
    each instance enrols under its host's name, and gets a grant of its own: so one resource serves the
    units of an auto-scaling group. Deleting the resource revokes the grant, and all that were enrolled
    by it. Whoever may show the Heat stack sees the grant in the attributes; Heat's own events and logs
    do not have it.
    """

    PROPERTIES = (BAG, MEMBER, GROUP, ROLE, TTL, INSTALL, SETTINGS) = (
        "bag",
        "member",
        "group",
        "role",
        "ttl",
        "install",
        "settings",
    )
    ATTRIBUTES = (URL, TOKEN, AGENT_CONFIG, CLOUD_CONFIG, CURL_CLI) = (
        "url",
        "token",
        "agent_config",
        "cloud_config",
        "curl_cli",
    )

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        MEMBER: properties.Schema(
            properties.Schema.STRING,
            "As whom the instance takes part. An agent needs it, unless the grant is a group's.",
            constraints=[named("A member's name")],
        ),
        GROUP: properties.Schema(
            properties.Schema.STRING,
            "With a member: the one group that it may join. Without: the group whose instances enrol "
            "by this grant, each under its host's name.",
            constraints=[named("A group's name")],
        ),
        ROLE: properties.Schema(
            properties.Schema.STRING,
            "An agent writes below nodes/MEMBER/ and results/MEMBER/, joins, signals and reads; a "
            "reader only reads.",
            default="agent",
            constraints=[constraints.AllowedValues(["agent", "reader"])],
        ),
        TTL: properties.Schema(
            properties.Schema.INTEGER,
            "Seconds for which the grant holds, unless it is renewed: by an agent that runs every day, "
            "by an update of this property from then on. The default is a year: user data tells "
            "a grant once, and an instance may be off for long.",
            default=YEAR,
            constraints=[constraints.Range(60, 366 * 24 * 3600)],
            update_allowed=True,
        ),
        INSTALL: properties.Schema(
            properties.Schema.STRING,
            "What pip is told to install, in words as a shell takes them, such as --index-url URL "
            "factstore[agent]. Empty if the image has the agent and its systemd unit: then neither is "
            "written.",
            default="factstore[agent]",
            update_allowed=True,
        ),
        SETTINGS: properties.Schema(
            properties.Schema.MAP,
            "More of the agent's configuration: maps of options, by section, such as 'template hosts'. "
            "Maps and lists become JSON, true and false yes and no.",
            default={},
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        URL: attributes.Schema(
            "The data bag's URL with the grant in it, as user and password: curl and many libraries "
            "take it as it is.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        TOKEN: attributes.Schema(
            "The grant, as Authorization: Bearer takes it.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        AGENT_CONFIG: attributes.Schema(
            "User data of cloud-init that installs factstore-agent, configures it with this grant, and "
            "has systemd start it: for user_data_format RAW, or a part of OS::Heat::MultipartMime, "
            "where it comes last: it goes on with what parts before it list. Null for a reader.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        CLOUD_CONFIG: attributes.Schema(
            "The same as a map, for OS::Heat::CloudConfig.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.MAP,
        ),
        CURL_CLI: attributes.Schema(
            "A command that prints the context: all that is known of the stack.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
    }

    def live(self, name: str) -> Any:
        """An attribute."""
        token = self.token
        if token is None or name == self.TOKEN:
            return token
        if name == self.URL:
            url = urlsplit(self.bag_url)
            return url._replace(netloc=f"{token.replace('.', ':', 1)}@{url.netloc}").geturl()
        if name == self.CURL_CLI:
            return curl(f"{self.bag_url}/context", token)
        if self.properties[self.ROLE] != "agent":
            return None
        document = self._document(self.properties, token)
        return document if name == self.CLOUD_CONFIG else agent_config.text(document)

    def exists(self) -> bool:
        """Whether the grant holds."""
        try:
            self.bag.grant(self.resource_id).show()
        except errors.NotFound:
            return False
        return True

    def remove(self) -> None:
        """Revoke the grant."""
        self.revoke()

    # Heat's hooks

    def validate(self) -> None:
        """Refuse what contradicts itself, as far as it is known before anything is created."""
        super().validate()
        given = {name: self.properties.data.get(name) for name in self.PROPERTIES[1:]}
        if not any(function.dependencies(given)):
            self._check(self.properties)

    def handle_create(self) -> None:
        """Issue the grant."""
        wished = self.properties
        self._check(wished)
        self.bag.describe()  # a grant of its own would make one
        given = {name: wished[name] for name in (self.ROLE, self.MEMBER, self.GROUP, self.TTL)}
        self.resource_id_set(self.issue(**given))

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Let it hold for as long as is wished from now on, or have another one issued."""
        wished = json_snippet.properties(self.properties_schema, self.context)
        self._check(wished)
        if not self.renew(wished[self.TTL]):
            raise resource.UpdateReplace(self.name)

    def _check(self, wished: properties.Properties) -> None:
        """Refuse what contradicts itself.

        :raises heat.common.exception.StackValidationFailed: it does.
        """
        role, member, group = (wished[name] for name in (self.ROLE, self.MEMBER, self.GROUP))
        wrong = ""
        if role == "agent" and member is None and group is None:
            wrong = "an agent's grant is for a member, or for a group's members: name one."
        elif role == "reader" and group is not None:
            wrong = "group says which one an agent may join; leave it out for a reader."
        else:
            try:
                self._document(wished, "")
            except ValueError as error:
                wrong = f"settings or install: {error}"
        if wrong:
            raise exception.StackValidationFailed(message=wrong)

    def _document(self, wished: properties.Properties, token: str) -> dict[str, Any]:
        bag = wished[self.BAG]
        root = self.client_plugin().public_url(bag).rpartition("/v1/")[0] if token else ""
        agent = {"stack": bag, "member": wished[self.MEMBER], "group": wished[self.GROUP]}
        return agent_config.cloud_config(
            {
                "agent": {name: value for name, value in agent.items() if value is not None},
                "service": {"url": root, "grant_file": agent_config.GRANT_FILE},
            },
            token,
            settings=wished[self.SETTINGS],
            install=wished[self.INSTALL],
        )
