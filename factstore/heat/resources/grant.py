"""``OS::FactStore::Grant``: the credential of an instance without a Keystone user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from heat.common import exception
from heat.engine import constraints, function, properties, resource

from factstore.cloud_init import Download
from factstore.heat.resources import agent_config
from factstore.heat.resources.bag_scoped import (
    YEAR,
    BagScoped,
    bag_schema,
    curl,
    name_constraint,
)
from factstore.heat.resources.base import Type, live_attribute


class Grant(BagScoped):
    """A grant for one member, or for all members of a group.

    An instance with the grant reads the data bag and writes its own facts. With a group's grant each
    instance enrols under its host name and receives a grant of its own, so one resource serves all
    units of an auto-scaling group. When the resource is deleted, the grant and all grants issued
    from it are revoked. Users who may show the Heat stack can read the grant in the attributes.
    Heat's events and logs do not contain it.
    """

    PROPERTIES = (BAG, MEMBER, GROUP, ROLE, TTL, INSTALL, SETTINGS, CACERT, RENEW) = (
        "bag",
        "member",
        "group",
        "role",
        "ttl",
        "install",
        "settings",
        "cacert",
        "renew",
    )
    ATTRIBUTES = (URL, TOKEN, AGENT_CONFIG, CLOUD_CONFIG, CURL_CLI) = (
        "url",
        "token",
        "agent_config",
        "cloud_config",
        "curl_cli",
    )
    HANDED_OUT = (URL, AGENT_CONFIG, CLOUD_CONFIG, CURL_CLI)

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        MEMBER: properties.Schema(
            properties.Schema.STRING,
            "The member's name. Required for an agent, unless the grant is for a group.",
            constraints=[name_constraint("A member's name")],
        ),
        GROUP: properties.Schema(
            properties.Schema.STRING,
            "With a member, the only group that the member may join. Without a member, the group whose "
            "instances enrol with this grant, each under its host name.",
            constraints=[name_constraint("A group's name")],
        ),
        ROLE: properties.Schema(
            properties.Schema.STRING,
            "An agent joins, signals, reads, and writes below nodes/MEMBER/ and results/MEMBER/. A "
            "reader only reads.",
            default="agent",
            constraints=[constraints.AllowedValues(["agent", "reader"])],
        ),
        TTL: properties.Schema(
            properties.Schema.INTEGER,
            "Seconds until the grant expires. An agent renews it every day, and an update of this "
            "property renews it for that time from then on. The default is a year, because user data "
            "hands the grant out once and an instance may be off for long.",
            default=YEAR,
            constraints=[constraints.Range(60, 366 * 24 * 3600)],
            update_allowed=True,
        ),
        INSTALL: properties.Schema(
            properties.Schema.STRING,
            "The place from which instances download the agent: a URL, followed by #sha256= and the "
            "digest of the file. Empty if the image contains the agent and its systemd unit; then "
            "neither is written. By default, Heat's operator chooses: usually the agent of the "
            "factstore service itself.",
            update_allowed=True,
        ),
        SETTINGS: properties.Schema(
            properties.Schema.MAP,
            "Further configuration of the agent: maps of options by section, such as 'template hosts'. "
            "Maps and lists become JSON, true becomes yes and false becomes no.",
            default={},
            update_allowed=True,
        ),
        CACERT: properties.Schema(
            properties.Schema.STRING,
            "The certificates, in PEM, with which instances verify the service. The default is those "
            "of the image.",
            update_allowed=True,
        ),
        RENEW: properties.Schema(
            properties.Schema.ANY,
            "Any value. An update that changes it works out url, agent_config, cloud_config and "
            "curl_cli again, with the current settings, endpoint and release of the agent. Servers "
            "whose user data contain them are replaced. Without it these attributes stay as they "
            "were created, even if settings, install or cacert are updated.",
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        URL: live_attribute(
            Type.STRING,
            "The data bag's URL with the grant as user and password, which curl and many libraries "
            "accept.",
        ),
        TOKEN: live_attribute(
            Type.STRING,
            "The grant, for the header Authorization: Bearer.",
        ),
        AGENT_CONFIG: live_attribute(
            Type.STRING,
            "User data for cloud-init that downloads factstore-agent, configures it with this grant "
            "and starts it with systemd. Use it with user_data_format RAW, or as the last part of "
            "an OS::Heat::MultipartMime: it appends to the lists of the parts before it. Null for a "
            "reader.",
        ),
        CLOUD_CONFIG: live_attribute(
            Type.MAP,
            "The same user data as a map, for OS::Heat::CloudConfig.",
        ),
        CURL_CLI: live_attribute(
            Type.STRING,
            "A command that prints the context: all facts and members of the stack.",
        ),
    }

    def attribute_value(self, name: str) -> Any:
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
        plugin = self.client_plugin()
        try:
            download = plugin.agent(self.properties[self.INSTALL])
        except ValueError as error:
            raise exception.Error(f"[clients_factstore] install is invalid: {error}") from error
        document = self._document(self.properties, token, plugin.public_root(), download)
        return document if name == self.CLOUD_CONFIG else agent_config.user_data(document)

    def is_own(self) -> bool:
        self.bag.grant(self.resource_id).show()
        return True

    def remove(self) -> None:
        self.revoke()

    # Heat's hooks

    def validate(self) -> None:
        """Refuse contradictory properties, as far as they are known before the stack is created."""
        super().validate()
        given = {name: self.properties.data.get(name) for name in self.PROPERTIES[1:]}
        if not any(function.dependencies(given)):
            self._check(self.properties)

    def handle_create(self) -> None:
        self._check(self.properties)
        self.bag.describe()  # issuing a grant would create a missing stack
        names = (self.ROLE, self.MEMBER, self.GROUP, self.TTL)
        self.resource_id_set(self.issue(**{name: self.properties[name] for name in names}))
        self.hand_out()

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Renew the grant, or have the resource replaced if the grant is not valid."""
        after = json_snippet.properties(self.properties_schema, self.context)
        self._check(after)
        if not self.renew(after[self.TTL]):
            raise resource.UpdateReplace(self.name)
        if self.RENEW in prop_diff:
            self.forget_handed_out()

    def _check(self, given: properties.Properties) -> None:
        """Refuse contradictory properties.

        :raises heat.common.exception.StackValidationFailed: the properties contradict each other.
        """
        role, member, group = (given[name] for name in (self.ROLE, self.MEMBER, self.GROUP))
        wrong = ""
        if role == "agent" and member is None and group is None:
            wrong = "the grant of an agent needs a member or a group. Set at least one of them."
        elif role == "reader" and group is not None:
            wrong = "group applies to an agent only. Leave it out for a reader."
        else:
            try:
                download = Download.of(given[self.INSTALL]) if given[self.INSTALL] else None
                self._document(given, "", "", download)
            except ValueError as error:
                wrong = f"settings, install or cacert is invalid: {error}"
        if wrong:
            raise exception.StackValidationFailed(message=wrong)

    def _document(
        self, given: properties.Properties, token: str, root: str, download: Download | None
    ) -> dict[str, Any]:
        bag = given[self.BAG]
        agent = {"stack": bag, "member": given[self.MEMBER], "group": given[self.GROUP]}
        return agent_config.cloud_config(
            {
                "agent": {name: value for name, value in agent.items() if value is not None},
                "service": {"url": root},
            },
            token,
            settings=given[self.SETTINGS],
            download=download,
            cacert=given[self.CACERT],
        )
