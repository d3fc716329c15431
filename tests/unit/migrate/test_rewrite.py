"""Templates in the shapes that people wrote are rewritten, and nothing else in them changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factstore.migrate import NotATemplate, rewrite, rewrite_all
from tests.unit.migrate import evaluation

TEMPLATES = Path(__file__).parent / "templates"
WHOLE = ("server.yaml", "several.yaml", "tabs.json")


def text(name: str) -> str:
    return (TEMPLATES / name).read_bytes().decode()


def check(before: str, after: str) -> None:
    """Fail unless the new template has the same facts and can be created."""
    old, new = evaluation.load(before), evaluation.load(after)
    assert evaluation.facts(new) == evaluation.metadata(old)
    assert evaluation.LAUNCH not in after
    assert evaluation.dangling(new) == set()
    assert not evaluation.is_circular(new)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_template_keeps_its_facts_and_has_no_circle(name: str) -> None:
    result = rewrite(text(name))
    check(text(name), result.text)
    assert result.is_complete
    assert result.fragment is None
    # A second run has nothing to do.
    assert rewrite(result.text).text == result.text


def test_the_read_path_becomes_a_grant_and_unused_keys_are_removed() -> None:
    for name in WHOLE:
        after = rewrite(text(name)).text
        assert "access_key_id" not in after
        assert "--access-key" not in after
        assert "OS::FactStore::Grant" in after
        if name != "several.yaml":  # a resource still depends on its key
            assert "AWS::IAM" not in after
            assert "OS::Heat::AccessPolicy" not in after


def test_comments_order_and_quotes_stay() -> None:
    before, after = text("server.yaml"), rewrite(text("server.yaml")).text
    comments = re.findall(r"# .*", before)
    assert sorted(re.findall(r"# .*", after)) == sorted(comments)
    for line in (
        "Description: 'One node of a message broker \u2013 with its own settings'",
        "tls: off",
    ):
        assert line in after
    old, new = evaluation.load(before), evaluation.load(after)
    survivors = [name for name in evaluation.resources(old) if name in evaluation.resources(new)]
    assert [name for name in evaluation.resources(new) if name in survivors] == survivors


def test_the_example_of_the_guide_is_the_result() -> None:
    examples = Path(__file__).parents[3] / "examples" / "heat" / "migrate"
    before = (examples / "before.yaml").read_text()
    result = rewrite(before)
    assert result.text == (examples / "after.yaml").read_text()
    assert result.is_complete
    check(before, result.text)


def test_line_breaks_of_windows_stay() -> None:
    before = text("server.yaml").replace("\n", "\r\n")
    after = rewrite(before).text
    assert after == rewrite(text("server.yaml")).text.replace("\n", "\r\n")


def test_tabs_of_json_stay() -> None:
    after = rewrite(text("tabs.json")).text
    assert "    " not in after.replace("odd   spaces", "")
    assert '"Description": "Tabs,  odd   spaces and é"' in after


def test_a_launch_configuration_of_a_group_stays_byte_for_byte() -> None:
    before = text("genuine.yaml")
    result = rewrite(before)
    assert result.text == before
    assert result.findings == ()
    hot = before.replace("{Ref: Launch}", "Launch")  # by its name
    assert rewrite(hot).text == hot


def test_fragments_are_rewritten_together() -> None:
    results = rewrite_all({name: text(name) for name in ("base.yaml", "agent.yaml")})
    agent = evaluation.resources(evaluation.load(results["agent.yaml"].text))
    # The other fragment gives the parameter the address of the server that reads the bag.
    assert agent["agent0SettingsFacts"]["properties"]["facts"] == {"hosts": {"Ref": "Hosts"}}
    assert agent["agent0Settings"]["properties"]["parameters"] == {"realm": {"Ref": "Realm"}}
    base = evaluation.resources(evaluation.load(results["base.yaml"].text))
    assert list(base) == [
        "agent0Settings",
        "agent0SettingsFacts",
        "agent0SettingsGrant",
        "agent0",
    ]
    assert base["agent0SettingsGrant"]["SubKey"] == "Resources.agent0SettingsGrant"
    assert all(result.fragment and result.is_complete for result in results.values())


def test_fragments_with_one_role_share_a_data_bag() -> None:
    result = rewrite(text("fragment.yaml"))
    new = evaluation.resources(evaluation.load(result.text))
    assert [each["type"].rpartition("::")[2] for each in new.values()] == [
        "DataBag",
        "Facts",
        "Facts",
        "Facts",
    ]
    assert {each["properties"]["bag"]["Ref"] for each in list(new.values())[1:]} == {
        "controllerTls"
    }
    assert "Merge::Map" in result.text
    assert result.fragment is not None


def cfn(resource: str, more: str = "") -> str:
    return f"HeatTemplateFormatVersion: '2012-12-12'\nResources:\n{resource}{more}"


KLUDGE = "  c:\n    Type: AWS::AutoScaling::LaunchConfiguration\n"


@pytest.mark.parametrize(
    ("body", "reason", "line"),
    [
        ("    Metadata: {'/etc/x': 1}\n", "'/etc/x' is not the path", 5),
        ("    Metadata: {results: 1}\n", "'results' is the name of a folder", 5),
        ("    Metadata: {<<: {a: 1}}\n", "merge key", 5),
        ("    Metadata: {on: 1}\n", "True is not the path", 5),
        ("    Properties: {UserData: x}\n    Metadata: {a: 1}\n", "UserData", 3),
    ],
)
def test_a_launch_configuration_that_cannot_be_rewritten_is_reported(
    body: str, reason: str, line: int
) -> None:
    before = cfn(KLUDGE + body)
    result = rewrite(before)
    assert result.text == before
    (finding,) = result.findings
    assert reason in finding.reason
    assert finding.line == line
    assert not result.is_complete


@pytest.mark.parametrize(
    "body",
    [
        "    Metadata: {a: 1, b: [x, {y: z}]}   # all on one line\n",
        '    "Metadata":\n        a: 1\n    Properties: {ImageId: 0}',  # no line break at the end
        "    Metadata:\n      a: &x {y: 1}\n      b: *x\n",
        "    Metadata:\n      a: 1\n      a: 2\n",  # the last one counts
        "    Metadata:\n\n      # about a\n\n      # more\n      a: 'it''s'\n",
        "    Metadata:\n      a: >\n        text\n\n\n      b: |+\n        kept\n\n",
        "    Metadata: !!map\n      a: !!str 1\n",
        "    Metadata:\n      a:\n      - 1\n      -   b: 2\n          c: 3\n",
    ],
)
def test_yaml_in_unusual_layouts_keeps_its_values(body: str) -> None:
    before = cfn(KLUDGE + body)
    check(before, rewrite(before).text)


def test_a_reader_of_several_resources_is_left() -> None:
    reader = (
        "  s:\n    Type: OS::Nova::Server\n    Metadata:\n      os-collect-config:\n"
        "        cfn: {path: [c.Metadata, s.Metadata]}\n"
    )
    result = rewrite(cfn(KLUDGE + "    Metadata: {a: 1}\n", reader))
    assert "OS::FactStore::DataBag" in result.text
    assert [finding.line for finding in result.findings if finding.is_left] == [10]


def test_a_script_that_polls_heat_is_left() -> None:
    kludge = Path(__file__).parents[3] / "examples" / "heat" / "kludge.yaml"
    result = rewrite(kludge.read_text())
    (finding,) = result.findings
    assert "resources/facts/metadata" in kludge.read_text().splitlines()[finding.line - 1]
    new = evaluation.resources(evaluation.load(result.text))
    assert set(new["facts"]["properties"]["parameters"]) == {"told"}
    assert set(new["facts_facts"]["properties"]["facts"]) == {"nodes"}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("", "not a mapping"),
        ("a: [", "not YAML"),
        ("just text", "not a mapping"),
        ("a: 1", "no resources"),
        ("Resources: []", "no resources"),
        ("--- {Resources: {}}\n--- {}", "several"),
        ("{" * 1000, "nested"),
        ("a: \x00", "not YAML"),
        ("x: &x [1]\ny: *z", "not YAML|without an anchor"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{y}: &{y} [{', '.join([f'*{x}'] * 9)}]\n"
                for x, y in zip("abcdef", "bcdefg", strict=True)
            ),
            "too large",
        ),
    ],
)
def test_a_text_that_is_not_a_template_is_refused(before: str, reason: str) -> None:
    with pytest.raises(NotATemplate, match=reason):
        rewrite(before)


SERVER = "  s:\n    Type: OS::Nova::Server\n    Metadata:\n      os-collect-config: "


@pytest.mark.parametrize(
    "before",
    [
        # The settings of os-collect-config are written once.
        cfn(
            KLUDGE
            + "    Metadata:\n      os-collect-config: &reader\n        cfn:\n"
            + "          path: c.Metadata\n      x: &x {a: 1}\n",
            SERVER + "*reader\n      copy: *x\n",
        ),
        # Short forms of functions
        cfn(
            KLUDGE
            + "    Metadata:\n      a: !GetAtt s.ip\n      b: !Sub 'x-${s.ip}'\n      c: 1\n",
            SERVER + "{cfn: {Path: [c.Metadata]}}\n",
        ),
        "\ufeff---\n" + cfn(KLUDGE + "    Metadata:\n      a: 1\n") + "...\n",
    ],
)
def test_aliases_tags_and_marks_of_documents_are_understood(before: str) -> None:
    result = rewrite(before)
    assert result.is_complete, result.findings
    assert evaluation.LAUNCH not in result.text
    assert result.text[0] == before[0]
    assert result.text.endswith("...\n") == before.endswith("...\n")
    assert "c.Metadata" not in result.text


def test_an_attribute_of_the_metadata_becomes_one_of_the_facts() -> None:
    more = (
        SERVER + "{cfn: {path: c.Metadata}}\n"
        "Outputs:\n  a: {Value: {'Fn::GetAtt': [c, Metadata, a]}}\n"
        "  b: {Value: {'Fn::GetAtt': [c, Metadata, b]}}\n"
    )
    before = cfn(KLUDGE + "    Metadata: {a: 1, b: {'Fn::GetAtt': [s, ip]}}\n", more)
    outputs = evaluation.load(rewrite(before).text)["Outputs"]
    assert outputs["a"]["Value"] == {"Fn::GetAtt": ["c", "facts", "a"]}
    # It is read after it is written.
    assert outputs["b"]["Value"] == {"Fn::GetAtt": ["cFacts", "facts", "b"]}


def test_the_name_of_a_data_bag_has_no_space() -> None:
    two = (KLUDGE + "    Metadata: {a: 1}\n").replace("c:", '"a b":', 1)
    new = evaluation.load(rewrite(cfn(two, KLUDGE + "    Metadata: {a: 1}\n")).text)
    name = evaluation.resources(new)["a b"]["properties"]["name"]
    assert evaluation.evaluate(name) == "<AWS::StackName>-a_b"


def test_a_template_without_resources_has_nothing_to_rewrite() -> None:
    before = "heat_template_version: 2013-05-23\noutputs: {}\n"
    assert rewrite(before).text == before


def test_fragments_of_one_name_write_into_one_data_bag() -> None:
    base = cfn(KLUDGE + "    Properties: {ImageId: '0'}\n    Metadata: {a: 1}\n    DependsOn: x\n")
    more = cfn(KLUDGE + "    Metadata:\n      b: 2\n      z: {'Fn::GetAtt': [server, ip]}\n")
    more = more.partition("\n")[2]  # without the version
    results = rewrite_all({"more-source.yaml": more, "base.yaml": base})
    assert all(result.is_complete for result in results.values())
    new = evaluation.resources(evaluation.load(results["base.yaml"].text))
    assert new["c"]["type"] == "OS::FactStore::DataBag"
    new = evaluation.resources(evaluation.load(results["more-source.yaml"].text))
    # The merge script would join resources of one name only if it knew their type.
    assert list(new) == ["cMore", "cMoreFacts"]
    assert {each["properties"]["bag"]["Ref"] for each in new.values()} == {"c"}
    assert new["cMore"]["properties"]["facts"] == {"b": 2}


def test_comments_in_braces_stay() -> None:
    before = (
        "Resources:\n"
        "  s: {Type: OS::Nova::Server, Metadata: {os-collect-config: {cfn: {path: c.Metadata}}}}\n"
        "  c: {Type: 'AWS::AutoScaling::LaunchConfiguration', Properties: {ImageId: '0'},\n"
        "    # about the metadata\n"
        "    Metadata: {\n      # first\n      a: 1,  # about a\n"
        "      b: {x: 1,  # about x\n        y: {'Fn::GetAtt': [s, ip]}},\n      # last\n    }}\n"
    )
    for text in (before, before.replace("a: 1", "a: {'Fn::GetAtt': [s, ip]}")):
        result = rewrite(text)
        assert result.is_complete
        check(text, result.text)
        for comment in re.findall("#.*", text):
            assert result.text.count(comment) == 1, comment


@pytest.mark.parametrize(
    ("reads", "reason"),
    [("d", "c is not rewritten: .* refers to the metadata of d; run"), ("c", "c .* its own")],
)
def test_metadata_that_read_metadata_are_rewritten_after_the_others(
    reads: str, reason: str
) -> None:
    second = (KLUDGE + "    Metadata: {b: 1}\n").replace("c:", "d:", 1)
    metadata = f"    Metadata:\n      a: {{'Fn::GetAtt': [{reads}, Metadata, b]}}\n"
    result = rewrite(cfn(KLUDGE + metadata, second))
    assert not result.is_complete
    (left,) = (each.reason for each in result.findings if each.is_left)
    assert re.match(reason, left)
    assert rewrite(result.text).is_complete == (reads == "d")
