"""The reads of templates, and the changes that make a difference to them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.agent.apply import templates
from factstore.agent.apply.recording import Recorder
from factstore.agent.config.reads import ENTRIES, EVERYTHING, Reads
from factstore.core.model.read_set import ReadSet

DOCUMENT: dict[str, Any] = {
    "stack": "slurm",
    "facts": {
        "size": 3,
        "conf": {"port": 80, "a b": 1},
        "nodes": {
            "c1": {"ip": "10.0.0.1", "load": 1, "disks": {"a": 1, "b": 2}},
            "c2": {"ip": "10.0.0.2", "load": 2},
        },
        "flat": {"x": 1, "y": 2},
    },
    "members": {
        "c1": {"group": "compute", "state": "ready", "attributes": {"rack": 1}},
        "c2": {"group": "compute", "state": "ready", "attributes": {}},
    },
    "self": {"name": "c1", "group": "compute", "state": "ready", "attributes": {"rack": 1},
             "facts": {"ip": "10.0.0.1"}},
    "peers": {"compute": {"c2": {"state": "ready", "attributes": {},
                                 "facts": {"ip": "10.0.0.2", "load": 2}}}},
    "sensitive": {"conf/port": "e.1"},
}  # fmt: skip


def read(directory: Path, template: str, document: dict[str, Any] = DOCUMENT) -> Reads:
    """Return what a template reads."""
    file, recorder = directory / "t.j2", Recorder()
    file.write_text(template)
    templates.render(file, document, recorder)
    return recorder.reads().reduced()


def entries(reads: Reads) -> set[str]:
    return {
        *reads.facts, *(f"@{group}" for group in reads.groups), *(f"={name}" for name in reads.members)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ facts.size }} {{ stack }}", {"size"}),
        ("{{ facts.nodes.c1.ip }}", {"nodes/c1/ip"}),
        ("{{ facts['conf'].port }}", {"conf/port"}),
        ("{{ facts.conf['a b'] }}", {"conf"}),  # no pattern can name the key of a value
        ("{{ facts.missing | default(1) }}", {"missing"}),
        ("{{ facts.nodes.c9.ip | default(1) if facts.nodes.c9 is defined }}",
         {"nodes/", "nodes/c9"}),
        ("{% if facts.nodes is defined %}{% endif %}", {"nodes/"}),
        ("{% if facts.nodes %}{{ facts.nodes.c1.ip }}{% endif %}", {"nodes/", "nodes/c1/ip"}),
        ("{{ 'c1' in facts.nodes }}", {"nodes/"}),
        ("{{ facts.nodes | length }}", {"nodes/"}),
        ("{% for n in facts.nodes %}{{ n }}{% endfor %}", {"nodes/"}),
        ("{% for n, v in facts.nodes.items() %}{{ v.ip }}{% endfor %}", {"nodes/", "nodes/*/ip"}),
        ("{{ facts.nodes.values() | map(attribute='ip') | join }}", {"nodes/", "nodes/*/ip"}),
        ("{% for n, v in facts.nodes | dictsort %}{{ v.ip }}{% endfor %}", {"nodes/", "nodes/*/ip"}),
        ("{{ facts.flat.items() | list }}", {"flat/", "flat/*"}),
        ("{{ facts.nodes.c1 | json }}", {"nodes/c1"}),
        ("{{ facts.nodes.c1 }}", {"nodes/c1"}),
        ("{{ facts.conf == {} }}", {"conf"}),
        ("{{ me.name }} {{ me.facts.ip }}", {"nodes/c1/ip"}),
        ("{{ me.attributes.rack }}", {"=c1"}),
        ("{{ members | length }}", {"=*/"}),
        ("{% for n, m in members | dictsort %}{{ m.group }}{% endfor %}", {"=*/"}),
        ("{% for n, m in members.items() %}{{ m.state }}{% endfor %}", {"=*"}),
        ("{{ members.values() | map(attribute='state') | list }}", {"=*"}),
        ("{{ members.values() | list }}", {"=*"}),
        ("{{ members.c2.state }} {{ members.c9 is defined }}", {"=c2", "=c9"}),
        ("{% for n, p in peers.compute.items() %}{{ p.facts.ip }}{% endfor %}",
         {"@compute/", "nodes/*/ip"}),
        ("{{ peers.compute.c2.state }}", {"@compute"}),
        ("{{ peers.compute.values() | list }}", {"@compute", "nodes/*"}),
        ("{% for p in peers.head | default([]) %}{% endfor %}", {"@head/"}),
        ("{{ peers.keys() | list }}", {"=*/"}),
        ("{{ context.facts.size }}", {"size"}),
        ("{{ context | json }}", {"*", "=*"}),
        ("{{ sensitive | length }} {{ stack }}", {"*"}),
        ("{{ sensitive['conf/port'] }}", {"conf/port"}),
    ],
)  # fmt: skip
def test_a_template_reads(tmp_path: Path, template: str, expected: set[str]) -> None:
    assert entries(read(tmp_path, template)) == expected


def test_many_similar_reads_are_one_pattern(tmp_path: Path) -> None:
    nodes = {f"n{at}": {"ip": at, "load": at} for at in range(2000)}
    document = {**DOCUMENT, "facts": {"nodes": nodes}}
    template = "{% for n in facts.nodes %}{{ facts.nodes[n].ip }}{% endfor %}"
    assert entries(read(tmp_path, template, document)) == {"nodes/", "nodes/*/ip"}


def test_many_similar_reads_are_one_pattern_without_a_list_of_the_folder(tmp_path: Path) -> None:
    nodes = {f"n{at}": {"ip": at, "load": at} for at in range(2000)}
    members = {name: {"group": "g", "state": "ready", "attributes": {}} for name in nodes}
    document = {**DOCUMENT, "facts": {"nodes": nodes}, "members": {**members, "new": members["n1"]}}
    template = (
        "{% for n in members %}{{ (facts.nodes[n] | default({})).ip | default(0) }}{% endfor %}"
    )
    assert entries(read(tmp_path, template, document)) == {"=*/", "nodes/*/ip", "nodes/new"}


def test_many_facts_of_one_folder_are_not_those_of_others() -> None:
    several = {f"{folder}/f{at}" for folder in ("a", "b") for at in range(ENTRIES // 4)}
    assert Reads(frozenset(several)).reduced().facts == several


def test_too_many_reads_are_reduced_to_folders() -> None:
    many = Reads(frozenset(f"nodes/n{at}/ip" for at in range(ENTRIES + 1)) | {"size"})
    reduced = many.reduced()
    assert len(reduced.facts) <= ENTRIES
    assert "size" in reduced.facts
    flat = Reads(frozenset(f"f{at}" for at in range(ENTRIES + 1))).reduced()
    assert flat.facts == {"*"}
    assert (many | EVERYTHING).reduced() == EVERYTHING
    crowd = Reads(members=frozenset(f"n{at}" for at in range(ENTRIES))).reduced()
    assert crowd.members == {"*"}


def test_patterns_that_others_include_are_left_out() -> None:
    reads = Reads(frozenset({"a", "a/b", "a/", "b/", "b/c/", "b/c/d", "*/x"})).reduced()
    assert reads.facts == {"a", "b/", "b/c/d", "*/x"}


@pytest.mark.parametrize("words", ["nodes/ nodes/*/ip size", "* @*", "@compute", "@compute/ @*/"])
def test_the_service_accepts_what_an_option_can_say(words: str) -> None:
    reads = Reads.parse(words.split())
    ReadSet.of("c1", reads.facts, reads.members, reads.groups)


# A template whose text differs has read something that differs.

NAMES = ["a", "b", "c"]
values = st.recursive(
    st.integers(0, 2),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
folders = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
members = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        lambda group, state: {"group": group, "state": state, "attributes": {}},
        st.sampled_from(["g", "h"]),
        st.sampled_from(["joining", "ready"]),
    ),
    max_size=3,
)
TEMPLATES = [
    "{{ facts.a is defined }}",
    "{{ facts.a.b | default('-') }}",
    "{{ facts.a.b is defined }} {{ facts.a.b.c | default('-') }}",
    "{% if facts.a %}yes{% endif %}",
    "{% if facts.a is defined %}{{ facts.a.x | default('none') }}{% endif %}",
    "{{ facts.a | default({}) | length if facts.a is mapping }}",
    "{% for k in facts %}{{ k }}{{ facts[k] | length if facts[k] is mapping }}{% endfor %}",
    "{% for k, v in facts.items() %}{{ k }}{{ v.b | default('-') if v is mapping }}{% endfor %}",
    "{% for v in facts.values() if v is mapping %}{{ v.values() | list }}{% endfor %}",
    "{{ facts.a | json if facts.a is defined }}",
    "{{ facts.a == facts.b if facts.a is defined and facts.b is defined }}",
    "{{ 'b' in facts.a if facts.a is mapping }}",
    "{{ facts.get('a', {}) }}",
    "{{ facts | dictsort }}",
    "{{ facts }}",
    "{% for n, m in members.items() if m.group == 'g' %}{{ n }}{% endfor %}",
    "{{ members.a.state | default('-') if members.a is defined }}",
    "{% for m in members.values() if m.group == 'g' %}{{ m.state }}{% endfor %}",
    "{% for n, m in members | dictsort %}{{ n }}{{ m }}{% endfor %}",
    "{{ peers.g.a.state if peers.g is defined and peers.g.a is defined }}",
    "{{ peers.g | length if peers.g is defined }}",
    (
        "{% for g, ps in peers.items() %}{{ g }}"
        "{% for n, p in ps.items() %}{{ n }}{{ p.state }}{% endfor %}{% endfor %}"
    ),
    (
        "{% if peers.g is defined %}{% for n, p in peers.g.items() %}"
        "{{ p.facts.b | default('-') }}{% endfor %}{% endif %}"
    ),
]


def document(facts: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
    nodes = facts.get("nodes", {})
    peers: dict[str, Any] = {}
    for name, member in sorted(present.items()):
        folder = nodes.get(name) if isinstance(nodes, dict) else None
        about = {"state": member["state"], "attributes": {}}
        peer = {**about, "facts": folder if isinstance(folder, dict) else {}}
        peers.setdefault(member["group"], {})[name] = peer
    return {"stack": "s", "facts": facts, "members": present, "peers": peers}


def outcome(file: Path, document: dict[str, Any], recorder: Recorder) -> str:
    try:
        return templates.render(file, document, recorder)
    except templates.TemplateError:
        return "an error"


def without_empty(facts: Any) -> Any:
    """Return facts without empty folders, which do not exist."""
    if not isinstance(facts, dict):
        return facts
    found = {name: without_empty(child) for name, child in sorted(facts.items())}
    return {name: child for name, child in found.items() if child != {}}


@settings(max_examples=2 * settings().max_examples)
@given(folders, folders, folders, members, members, st.sampled_from(TEMPLATES))
def test_a_text_differs_only_if_something_differs_that_was_read(
    tmp_path_factory: pytest.TempPathFactory,
    one: dict[str, Any],
    two: dict[str, Any],
    nodes: dict[str, Any],
    present: dict[str, Any],
    later: dict[str, Any],
    template: str,
) -> None:
    directory = tmp_path_factory.getbasetemp()
    file = directory / f"reads{TEMPLATES.index(template)}.j2"
    if not file.exists():
        file.write_text(template)
    before = document(without_empty(one), present)
    recorder = Recorder()
    text = outcome(file, before, recorder)
    reads = recorder.reads().reduced()
    for facts, there in itertools.product((one, two, {**one, "nodes": nodes}), (present, later)):
        after = document(without_empty(facts), there)
        if reads.digest(before) == reads.digest(after):
            assert outcome(file, after, Recorder()) == text
