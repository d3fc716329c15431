"""Templates: what they can use, what they print, and how their mistakes are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factstore.agent.apply import templates
from factstore.agent.apply.recording import Recorder
from factstore.agent.apply.template_filters import FILTERS
from tests.unit.agent.factories import DOCUMENT, write


def rendered(directory: Path, template: str, document: dict[str, Any] = DOCUMENT) -> str:
    return templates.render(write(directory / "t.j2", template), document)


def broken(directory: Path, template: str) -> str:
    with pytest.raises(templates.TemplateError) as caught:
        rendered(directory, template)
    return str(caught.value)


def test_a_template_can_use_the_whole_context(tmp_path: Path) -> None:
    text = "{{ stack }} {{ me.name }} {{ facts.nodes.c1.ip }} {{ context.members | length }}\n"
    assert rendered(tmp_path, text) == "slurm c1 10.0.0.1 1\n"


def test_blocks_leave_no_empty_lines(tmp_path: Path) -> None:
    text = (
        "{% for name in facts.nodes %}\n  {% if true %}\n{{ name }}\n  {% endif %}\n{% endfor %}\n"
    )
    assert rendered(tmp_path, text) == "c1\nc2\n"


def test_a_template_can_include_templates_of_its_directory(tmp_path: Path) -> None:
    write(tmp_path / "part.j2", "{{ stack }}\n")
    assert rendered(tmp_path, "{% include 'part.j2' %}") == "slurm\n"
    assert "does not exist" in broken(tmp_path, "{% include 'nothing.j2' %}")
    assert "does not exist" in broken(tmp_path, "{% include '../../etc/passwd' %}")


def test_an_undefined_name_is_an_error_without_a_default(tmp_path: Path) -> None:
    assert "line 2: facts.nodes.c9 does not exist" in broken(
        tmp_path, "x\n{{ facts.nodes.c9.ip }}\n"
    )
    assert rendered(tmp_path, "{{ facts.nodes.c9 | default('none') }}") == "none"


def test_an_error_is_reported_with_its_line(tmp_path: Path) -> None:
    assert broken(tmp_path, "fine\n{% if %}").startswith(f"{tmp_path}/t.j2, line 2: ")
    assert "line 3: division by zero" in broken(tmp_path, "a\nb\n{{ 1 / 0 }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ facts.__class__ }}",
        "{{ facts.clear() }}",
        "{{ '{0.__class__}'.format(facts) }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_a_template_prints_facts_and_runs_no_python(tmp_path: Path, template: str) -> None:
    assert "unsafe" in broken(tmp_path, template)


HOLES: dict[str, Any] = {
    "stack": "slurm",
    "facts": {
        "db": {"password": None, "user": "x"},
        "nodes": {
            "c1": {"ip": None, "pin": None, "cpus": 4, "keys": "k"},
            "c2": {"ip": "10.0.0.2"},
        },
        "ports": [80, None],
        "on": True,
    },
    "members": {"c1": {"group": "node", "state": "ready"}},
    "self": {"name": "c1", "facts": {"pin": None}},
    "peers": {"node": {"c1": {"facts": {"pin": None}}}},
    "sensitive": {"db/password": "e.1", "nodes/c1/pin": "e.2"},
}
_READERS = "is sealed, and this member is not among its readers"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ facts.db.password }}", f"facts.db.password {_READERS}"),
        ("{{ me.facts.pin }}", f"me.facts.pin {_READERS}"),
        ("{{ peers.node.c1.facts.pin }}", f"peers.node.c1.facts.pin {_READERS}"),
        ("{{ facts.db | tojson }}", _READERS),
        ("{{ facts.db.password | to_json }}", _READERS),
        ("{{ context }}", _READERS),
        ("{% if facts.db.password %}{% endif %}", _READERS),
        ("{{ facts.nodes.c1.ip }}", "facts.nodes.c1.ip is null"),
        ("{{ facts.nodes.c1.ip ~ 'x' }}", "facts.nodes.c1.ip is null"),
        ("{{ 'x %s' % facts.nodes.c1.ip }}", "facts.nodes.c1.ip is null"),
        ("{{ 'x %s' | format(facts.nodes.c1.ip) }}", "facts.nodes.c1.ip is null"),
        ("{{ 'x {}'.format(facts.nodes.c1.ip) }}", "facts.nodes.c1.ip is null"),
        ("{{ facts.nodes.c1.ip | upper }}", "facts.nodes.c1.ip is null"),
        ("{{ facts.nodes.c1.ip | round }}", "facts.nodes.c1.ip is null"),
        ("{{ facts.nodes.c1.ip | int }}", "facts.nodes.c1.ip is null"),
        ("{{ facts.nodes.values() | map(attribute='ip') | join }}", "facts.nodes.c1.ip is null"),
        ("{% for x in facts.nodes.c1.ip %}{% endfor %}", "facts.nodes.c1.ip is null"),
        ("{{ facts.ports | join(',') }}", "facts.ports[1] is null"),
        ("{{ facts.ports | map('string') | list }}", "facts.ports[1] is null"),
        ("{{ facts.nodes.c9.ip.x | json }}", "facts.nodes.c9 does not exist"),
        ("{{ facts.nodes.get('c9') ~ 'x' }}", "facts.nodes.c9 does not exist"),
        ("{{ none ~ 'x' }}", "the value is null"),
        ("{{ facts.nodes.c1.keys() | map('upper') }}", "an iterator cannot be printed"),
        ("{{ facts.nodes | attr('keys') }}", "a function or method cannot be printed"),
        ("{{ facts.nodes.values }}", "facts.nodes.values does not exist"),
        ("{{ facts.ports.append(1) }}", "access to attribute 'append' of 'list' object is unsafe"),
        ("{{ members.c1.update({}) }}", "access to attribute 'update' of 'dict' object is unsafe"),
    ],
)
def test_a_hole_or_an_object_of_python_is_never_printed(
    tmp_path: Path, template: str, reason: str
) -> None:
    with pytest.raises(templates.TemplateError) as caught:
        templates.render(write(tmp_path / "t.j2", template), HOLES, Recorder())
    assert reason in str(caught.value)


IDIOMS = {
    "{{ facts.db.password | default('d') }} {{ facts.db.password is defined }}": "d false",
    "{{ facts.nodes.c1.ip is none }} {{ facts.nodes.c1.ip == none }}": "true true",
    "{{ facts.nodes.c1.ip or 'x' }} {{ facts.nodes.c1.ip == 'y' }}": "x false",
    "{{ facts.nodes.c9.a.b | default('d') }} {{ facts.nodes.c9.a is defined }}": "d false",
    "{{ facts.nodes.get('c9', {}).get('ip', 'd') }}": "d",
    "{{ facts.nodes.c1.keys }} {{ facts.nodes.c2.keys() | list }}": 'k ["ip"]',
    "{{ facts.on }} {{ facts.on | string }} {{ facts.on ~ 1 }} {{ [true] }}": "true true true1 [true]",
    "{{ '%s' % facts.on }} {{ '{}'.format(facts.on) }} {{ '%s' | format([1]) }}": "true true [1]",
    "{{ '%r %d%% %-3s|' % (facts.on, 5, 'x') }} {{ none | default('d') }}": "true 5% x  | d",
    "{{ {'a': true, 'b': none} | xmlattr }} {{ {'a': true} | urlencode }}": ' a="true" a=true',
    "{{ facts.ports }} {{ facts.nodes.c1.ip | tojson }}": "[80, null] null",
    "{% set a = [] %}{% set _ = a.append(1) %}{% do a.append(2) %}{{ a | join(',') }}": "1,2",
    "{% set d = {} %}{% set _ = d.update({'a': 1}) %}{{ d }}": '{"a": 1}',
    "{% set ns = namespace(n=0) %}{% for n in facts.nodes %}{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{{ ns.n }}": "2",
    "{% for n in facts.nodes %}{% if loop.last %}{% break %}{% endif %}{{ n }}{% endfor %}": "c1",
    "{{ members.values() | groupby('group') | map(attribute='grouper') | list }}": '["node"]',
    "{{ facts.nodes.values() | selectattr('cpus', 'defined') | list | length }}": "1",
    "{{ 'a\u2028b\x85c' | indent(2) }}": "a\u2028b\x85c",
    "{{ 'a\nb\n\nc' | indent(2) }}": "a\n  b\n\n  c",
    "{{ 'aa bb' | wordwrap(2) }}": "aa\nbb",
    "{{ 'yes' | bool }} {{ facts.on | ternary('y', 'n') }} {{ 'a' | mandatory }}": "true y a",
    "{{ 'a-b' | regex_replace('-(.)', '_\\\\1') }} {{ 'ab' | regex_search('b') }}": "a_b b",
    "{{ 'a1b2' | regex_findall('[0-9]') }} {{ 'a.b' | regex_escape }}": '["1", "2"] a\\.b',
    "{{ 'x' | b64encode }} {{ 'eA==' | b64decode }}": "eA== x",
    "{{ 'x' | hash }}": "11f6ad8ec52a2984abaafd7c3b516503785c2072",
    "{{ '/a/b.c' | basename }} {{ '/a/b.c' | dirname }} {{ 'a b' | quote }}": "b.c /a 'a b'",
    "{{ {'a': {'x': 1}} | combine({'a': {'y': 2}}, recursive=true) }}": '{"a": {"x": 1, "y": 2}}',
    "{{ {'a': 1} | dict2items }}": '[{"key": "a", "value": 1}]',
    "{{ [{'key': 'a', 'value': 1}] | items2dict }}": '{"a": 1}',
    "{{ [1, [2, [3]]] | flatten }} {{ [1, 2] | zip([3, 4]) | list }}": "[1, 2, 3] [[1, 3], [2, 4]]",
    "{{ [1, 1, 2] | union([3]) }} {{ [1, 2] | difference([2]) }} {{ [1, 2] | intersect([2]) }}": (
        "[1, 2, 3] [1] [2]"
    ),
    "{{ [1, 2] | symmetric_difference([2, 3]) }} {{ 'a.b.c' | splitext }}": '[1, 3] ["a.b", ".c"]',
    "{{ '2.10' is version('2.9', '>=') }} {{ '1.0' is version('1.0.0') }} "
    "{{ '1.0rc1' is version('1.0', '<') }} {{ [1, 0] is any }} {{ [1, 0] is all }}": (
        "true true true true false"
    ),
    "{{ ['c2'] | map('extract', facts.nodes, 'ip') | list }}": '["10.0.0.2"]',
    "{{ '{\"a\": 1}' | from_json }} {{ 'a,b' | split(',') }}": '{"a": 1} ["a", "b"]',
    "{{ '::1' | ipwrap }} {{ '10.0.0.1' | ipwrap }}": "[::1] 10.0.0.1",
    "{{ {'a': [1, 'x']} | to_nice_yaml }}": '"a":\n  - 1\n  - "x"\n',
    "{{ {'a': 1} | to_json }} {{ [1] | to_nice_json }}": '{"a": 1} [\n    1\n]',
    "{{ 'abc' is match('a') }} {{ 'abc' is search('c') }} {{ [1] is subset([1, 2]) }}": (
        "true true true"
    ),
}


@pytest.mark.parametrize(("template", "expected"), IDIOMS.items())
def test_templates_can_use_what_templates_of_others_use(
    tmp_path: Path, template: str, expected: str
) -> None:
    source = write(tmp_path / "t.j2", template)
    assert templates.render(source, HOLES, Recorder()) == expected
    assert templates.render(source, HOLES) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 1 | nosuch }}", "line 1: the filter 'nosuch' does not exist"),
        ("{% if false %}{{ 1 is nosuch }}{% endif %}", "line 1: the test 'nosuch' does not exist"),
        ("{% include 'none.j2' %}", "none.j2 does not exist"),
        ("{% include 'part.j2' %}", "part.j2, line 2: "),
        ("\ufeffx", "line 1: the file begins with a byte order mark: save it as UTF-8 without one"),
        (b"M\xfcnchen", "the file is not UTF-8"),
        ("{% include 'none.j2' ignore missing %}{% import 'fine.j2' as m %}", ""),
    ],
)
def test_check_finds_mistakes_in_a_template_and_in_those_that_it_includes(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    write(tmp_path / "part.j2", "x\n{{ | }}")
    write(tmp_path / "fine.j2", "{% macro m() %}{% endmacro %}")
    source = tmp_path / "t.j2"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = ""
    try:
        templates.check(source)
    except templates.TemplateError as error:
        found = str(error)
    assert reason in found
    assert bool(reason) == bool(found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("10.0.0.1", "address"),
        ("2001:db8::1", "address"),
        ("c1", "hostname"),
        ("c1.example.com", "hostname"),
        ("a" * 63, "hostname"),
    ],
)
def test_addresses_and_host_names_pass_their_tests(tmp_path: Path, value: str, kind: str) -> None:
    document = {**DOCUMENT, "facts": {"it": value}}
    assert rendered(tmp_path, f"{{{{ facts.it is {kind} }}}}", document) == "true"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a b",
        "c1\n",
        "-c1",
        "c1-",
        "c1..d",
        "C1",
        "c\u0661",
        "a" * 64,
        "a." * 127 + "a",
        "10.0.0.1\nevil",
        "10.0.0.01",
        "fe80::1%eth0\nevil",
        167772161,
        None,
        ["10.0.0.1"],
        {},
    ],
)
def test_other_values_fail_the_tests_for_addresses_and_host_names(
    tmp_path: Path, value: Any
) -> None:
    document = {**DOCUMENT, "facts": {"it": value}}
    for kind in ("address", "hostname"):
        if not (kind == "hostname" and value == "10.0.0.01"):
            assert rendered(tmp_path, f"{{{{ facts.it is {kind} }}}}", document) == "false"


def test_an_undefined_value_is_neither_an_address_nor_a_host_name(tmp_path: Path) -> None:
    assert (
        rendered(tmp_path, "{{ facts.it is address }} {{ facts.it is hostname }}") == "false false"
    )


def test_filters_print_a_fact_without_adding_lines(tmp_path: Path) -> None:
    assert rendered(tmp_path, "{{ facts.nodes.c1.ip | line }}") == "10.0.0.1"
    assert "a value with a line break" in broken(tmp_path, "{{ facts.nodes.c2.ip | line }}")
    assert rendered(tmp_path, "{{ facts.motto | shell }}") == "'a b'"
    assert rendered(tmp_path, "{{ facts.nodes.c2 | json }}") == '{"ip": "10.0.0.2\\nevil"}'
    assert rendered(tmp_path, "{{ 5 | line }}") == "5"
    assert rendered(tmp_path, "{{ facts.nodes.c1.ip | address }}") == "10.0.0.1"
    for wrong in ("facts.nodes.c2.ip", "facts.motto", "5", "facts.nodes"):
        assert "a value that is not an IP address" in broken(
            tmp_path, f"{{{{ {wrong} | address }}}}"
        )


def test_a_check_evaluates_nothing_of_a_template_not_even_constants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[str] = []

    def probe(value: str) -> str:
        evaluated.append(value)
        return value

    monkeypatch.setitem(FILTERS, "probe", probe)
    file = write(
        tmp_path / "t.j2",
        "{{ 'output' | probe }}{{ 'a' ~ ('operand' | probe) }}{% set x = 'set' | probe %}"
        "{% if 'if' | probe %}{% endif %}{% for y in 'f' | probe %}{% endfor %}"
        "{{ 'a' if 'inline' | probe else 'b' }}{{ [('list' | probe)] | first }}{{ ('a' | probe) * 2 }}",
    )
    templates.check(file)
    assert not evaluated
    assert templates.render(file, DOCUMENT) == "outputaoperandalistaa"
    assert evaluated == ["output", "operand", "set", "if", "f", "inline", "list", "a"]
