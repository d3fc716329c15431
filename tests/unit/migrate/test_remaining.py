"""The report of each text that still reads the metadata of Heat, with its line and reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from factstore.migrate import Finding, rewrite

HEAD = """\
heat_template_version: 2016-10-14
parameters:
  which: {type: string, default: facts}
  other: {type: string, default: elsewhere}
  realm: {type: string}
resources:
  facts:
    type: AWS::AutoScaling::LaunchConfiguration
    metadata: {a: 1}
  head:
    type: OS::Nova::Server
    properties:
"""
FIRST = HEAD.count("\n") + 1


def findings(body: str, files: Mapping[str, str] | None = None) -> list[Finding]:
    result = rewrite(HEAD + body, read_file=None if files is None else files.get)
    assert "OS::FactStore::DataBag" in result.text
    return list(result.findings)


def replaced(script: str, params: str = "{STACK: {get_param: 'OS::stack_name'}}") -> str:
    lines = "".join(f"            {line}\n" for line in script.splitlines())
    return (
        "      user_data:\n        str_replace:\n          template: |\n"
        f"{lines}          params: {params}\n"
    )


def left(body: str, files: Mapping[str, str] | None = None) -> list[int]:
    """Return the lines that a person has to rewrite, from 1 in the user data."""
    return [each.line - FIRST + 1 for each in findings(body, files) if each.is_left]


COMMANDS = (
    "heat resource-metadata STACK facts > /tmp/m",
    "heat --os-no-client-auth resource-metadata STACK 'facts'",
    "openstack stack resource metadata STACK facts",
    "openstack --os-cloud x stack resource show STACK facts -f json",
    "aws cloudformation describe-stack-resource --stack-name STACK --logical-resource-id facts",
    "aws cloudformation \\\n  describe-stack-resource \\\n  --logical-resource-id=facts",
    "curl http://heat:8000/v1/?Action=DescribeStackResource&LogicalResourceId=facts",
    "curl http://heat:8004/v1/p/stacks/STACK/resources/facts/metadata",
    "cfn-get-metadata -s STACK -r facts",
    "heat.resources.metadata(\n    'STACK',\n    'facts')",
    "client.describe_stack_resource(LogicalResourceId='facts')",
    "printf '[cfn]\\npath = facts.Metadata\\n' > /etc/os-collect-config.conf",
    "RES=facts; heat resource-metadata STACK $RES",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_reads_the_metadata_is_left(command: str) -> None:
    lines = left(replaced(f"#!/bin/sh\n{command}\necho done"))
    assert len(lines) == 1
    assert 5 <= lines[0] < 5 + len(command.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_comment_and_another_resource_are_not(command: str) -> None:
    comment = "\n".join(f"# {line}" for line in command.splitlines())
    assert left(replaced(f"#!/bin/sh\n{comment}")) == []
    assert left(replaced(f"#!/bin/sh\n{command.replace('facts', 'head')}")) == []


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (replaced("x\nheat resource-metadata STACK RES", "{STACK: s, RES: facts}"), 5),
        (replaced("heat resource-metadata s RES", "{RES: {get_resource: facts}}"), 4),
        (replaced("heat resource-metadata s RES", "{RES: {get_param: which}}"), 4),
        (replaced("R=RES\n\nheat resource-metadata s $R", "{RES: facts}"), 6),
        (replaced("curl -sS URL", "{URL: 'http://heat/resources/facts/metadata'}"), 5),
        (
            (
                "      user_data:\n        list_join:\n        - ' '\n        - "
                "- heat resource-metadata\n"
                "          - {get_param: 'OS::stack_name'}\n          - facts\n"
            ),
            4,
        ),
        (
            (
                "      user_data:\n        Fn::Base64:\n          Fn::Sub: |\n"
                "            heat resource-metadata ${AWS::StackName} ${facts}\n"
            ),
            4,
        ),
        (
            (
                "      user_data:\n        repeat:\n          template: heat resource-show s <%r%>\n"
                "          for_each: {<%r%>: [facts]}\n"
            ),
            3,
        ),
        (
            (
                "      user_data:\n        if:\n        - c\n        - heat resource-metadata s facts\n"
                "        - x\n"
            ),
            4,
        ),
        ("      user_data: heat resource-metadata s facts\n", 1),
        (
            "      files:\n        /etc/cron.d/x:\n          - {x: 'heat resource-metadata s facts'}\n",
            3,
        ),
        ("      user_data: {get_file: poll.sh}\n", 1),
        (
            (
                "      user_data:\n        str_replace:\n          template: {get_file: marked.sh}\n"
                "          params: {RES: facts}\n"
            ),
            3,
        ),
    ],
)
def test_a_text_is_read_as_the_instance_gets_it(body: str, line: int) -> None:
    files = {"poll.sh": "#!/bin/sh\nheat resource-metadata $1 facts\n",
             "marked.sh": "heat resource-metadata s RES\n"}  # fmt: skip
    assert left(body, files) == [line]


def test_the_line_in_a_file_is_stated_and_a_missing_file_is_noted() -> None:
    body = "      user_data: {get_file: poll.sh}\n"
    (finding,) = findings(body, {"poll.sh": "#!/bin/sh\nheat resource-metadata $1 facts\n"})
    assert "(poll.sh, line 2)" in finding.reason
    for files in (None, {}):
        (finding,) = findings(body, files)
        assert "poll.sh, which could not be checked" in finding.reason
        assert (finding.line, finding.is_left) == (FIRST, False)
    assert findings(body, {"poll.sh": "echo\n"}) == []


INIT = "cfn-init -s STACK -r facts --region R || exit 1"


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (INIT, []),
        (f"{INIT}\ncfn-hup -f", [5]),
        (f"yum install x\n{INIT}; /opt/aws/bin/cfn-hup || exit", [5]),
        (f"{INIT}\n{INIT}", [5]),  # the first is rewritten
        (f"{INIT}\necho > /etc/cfn/cfn-hup.conf", []),
        (f"{INIT}\nheat resource-metadata STACK facts", [5]),
    ],
)
def test_the_rest_of_a_rewritten_script_is_looked_at(script: str, lines: list[int]) -> None:
    assert left(replaced(script)) == lines
    parts = "".join(f'          - "{line}\\n"\n' for line in script.splitlines())
    joined = f"      user_data:\n        list_join:\n        - ''\n        -\n{parts}"
    assert left(joined) == [line + 1 for line in lines]


def test_the_settings_of_cfn_hup_in_the_metadata_themselves_are_left() -> None:
    hooks = "'[x]\\npath=Resources.facts.Metadata.x\\n'"
    before = HEAD.replace("{a: 1}", f"{{init: {{files: {{/etc/cfn/hooks.conf: {hooks}}}}}}}")
    (finding,) = rewrite(f"{before}      image: x\n").findings
    assert (finding.line, finding.is_left) == (9, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (replaced("#!/bin/sh\necho the facts\necho facts"), "contains the word facts"),
        ("      name: {get_resource: facts}\n", "refers to facts"),
        (replaced("heat resource-metadata STACK $1"), "that the text does not name"),
        (
            (
                "      name: x\n  deployed:\n    type: OS::Heat::SoftwareDeployment\n"
                "    properties: {input_values: {res: facts}}\n"
            ),
            "hands on the name facts",
        ),
        (
            "      name: x\n  inner:\n    type: inner.yaml\n    properties: {res: facts}\n",
            "hands on the name facts",
        ),
        ("      name: x\noutputs:\n  o: {value: {get_resource: facts}}\n", "output o refers"),
    ],
)
def test_another_mention_is_one_note(body: str, reason: str) -> None:
    (finding,) = findings(body)
    assert not finding.is_left
    assert reason in finding.reason


@pytest.mark.parametrize(
    "body",
    [
        "      name: facts\n",
        "      name: the facts of life\n",
        replaced("#!/bin/sh\ncat /etc/facts-1 my-facts # nothing"),
        replaced("#!/bin/sh\n# the facts\nheat resource-metadata STACK head"),
        replaced("heat resource-metadata s RES", "{RES: {get_resource: head}}"),
    ],
)
def test_a_common_word_is_not_reported(body: str) -> None:
    assert findings(body) == []


@pytest.mark.parametrize("word", ["hidden: true", "NoEcho: 'true'"])
def test_a_hidden_parameter_in_a_data_bag_is_noted(word: str) -> None:
    before = HEAD.replace("realm: {", f"realm: {{{word}, ").replace(
        "{a: 1}", "{a: 1, b: {list_join: ['', [x, {get_param: realm}]]}, c: {get_param: which}}"
    )
    (finding,) = rewrite(f"{before}      image: x\n").findings
    assert (finding.line, finding.is_left) == (9, False)
    assert "hidden parameter realm" in finding.reason
