"""Numbers, files, options and commands in the guides are correct."""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from factstore.api.body_limit import BODY_BYTES
from factstore.api.schemas import base, field_types
from factstore.core.model import (
    alarm,
    comparison,
    condition,
    definition,
    fact,
    grant,
    member,
    path,
    receipt,
    stack_patterns,
    subscription,
    value,
    waiter,
)
from factstore.core.operations import batches
from factstore.core.services import debounce, watch_snapshot
from factstore.core.services.open_requests import STACK_PATTERNS
from factstore.core.services.rate_limit import HEARTBEAT_UNITS
from factstore.wsgi import configuration
from factstore.wsgi.middleware.metrics import Metrics
from factstore.wsgi.ops import logs
from tests.docs.pages import DOC, ROOT, code
from tests.monitoring.files import RULES, queries


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("segment of a path", {path.SEGMENT_LENGTH}),
        ("path ", {path.DEPTH, path.PATH_LENGTH}),
        ("value", {value.VALUE_BYTES // 1024}),
        ("nesting", {value.DEPTH}),
        ("description", {fact.DESCRIPTION_LENGTH}),
        ("batch", {batches.BATCH_OPERATIONS, batches.BATCH_BYTES // 1024**2}),
        ("body", {BODY_BYTES // 1024**2}),
        ("time to live of a fact", {fact.TTL_MIN, fact.TTL_MAX, fact.TTL_MAX // 86400}),
        ("time to live of a member", {member.HEARTBEAT_TTL_MIN, member.HEARTBEAT_TTL_MAX}),
        ("time to live of a member", {member.HEARTBEAT_TTL_DEFAULT}),
        ("attributes", {member.ATTRIBUTES_LENGTH}),
        ("facts bound to a member", {member.BOUND_FACTS}),
        ("waiters of a stack", {waiter.WAITERS_PER_STACK}),
        ("conditions of a waiter", {definition.LEAVES, definition.DEFINITION_BYTES // 1024}),
        ("values of ``in``", {comparison.VALUES}),
        ("pattern of ``match``", {comparison.PATTERN_LENGTH, comparison.MATCHED_LENGTH}),
        ("alarms of a stack", {alarm.ALARMS_PER_STACK}),
        ("``for``, ``quiet``, ``repeat``", {alarm.SECONDS_MAX}),
        ("timeout of a waiter", {waiter.TIMEOUT_MIN, waiter.TIMEOUT_MAX, waiter.TIMEOUT_DEFAULT}),
        ("stored signals", {waiter.SIGNALS_PER_WAITER}),
        ("name of a subscription", {subscription.NAME_LENGTH}),
        ("filters of a subscription", {subscription.FILTERS}),
        ("events of a message", {subscription.MAX_EVENTS}),
        ("delay of an event", {subscription.MAX_DELAY}),
        ("overlap of", {subscription.ROTATION_MAX, subscription.ROTATION_DEFAULT}),
        ("id of a signal", {waiter.SIGNAL_ID_LENGTH}),
        (
            "lifetime of a grant",
            {grant.GRANT_TTL_MIN, grant.GRANT_TTL_MAX, grant.GRANT_TTL_DEFAULT},
        ),
        ("lifetime of a grant", {grant.GRANT_TTL_MAX // 86400, grant.GRANT_TTL_DEFAULT // 86400}),
        ("``wait``", {field_types.WAIT_LIMIT}),
        ("``settle``", {field_types.SETTLE_LIMIT, field_types.MAX_SETTLE_LIMIT}),
        ("page of a list", {base.PAGE_LIMIT}),
        ("page of a long poll", {debounce.PAGE_EVENTS, debounce.PAGE_BYTES // 1024**2}),
        ("names in ``prefix``, ``group``", {field_types.NAMES_LIMIT}),
        ("patterns of stacks", {stack_patterns.PATTERNS, stack_patterns.PATTERN_LENGTH}),
        ("patterns of stacks", {STACK_PATTERNS}),
        ("conditions of a stack", {condition.CONDITIONS_PER_STACK}),
        ("conditions that count", {condition.CONDITIONS_PER_FACT, condition.MATCH_COUNTS_AS}),
        ("snapshot frame", {watch_snapshot.SNAPSHOT_ITEMS, watch_snapshot.SNAPSHOT_BYTES // 1024}),
        ("``Idempotency-Key``", {receipt.RETENTION // 3600}),
    ],
)
def test_the_limits_that_are_stated_are_those_in_force(row: str, numbers: set[int]) -> None:
    text = (DOC / "reference" / "limits.rst").read_text()
    line = next(line for line in text.splitlines() if line.startswith(row))
    assert numbers <= {int(number) for number in re.findall(r"\d+", line)}


def test_the_documented_heartbeat_rate_is_the_one_in_force() -> None:
    rate = configuration.read([], register_more=logs.register).limits.requests_per_second
    promised = f"takes {rate / HEARTBEAT_UNITS:g} heartbeats a second"
    assert promised in " ".join((DOC / "reference" / "limits.rst").read_text().split())
    needed = math.ceil(10_000 / 30 * HEARTBEAT_UNITS)
    assert f"need {needed} of it" in (DOC / "how-to" / "limits.rst").read_text()
    assert needed < rate


def test_the_configuration_of_the_installation_guide_is_one_that_factstore_reads(
    tmp_path: Path,
) -> None:
    blocks = code("install/index.rst", "shell")
    block = next(block for block in blocks if "[keystone_authtoken]" in block)
    guide = block.partition("<<END\n")[2].removesuffix("END")
    guide = re.sub(r"\$(\w+)", "http://controller:5000", guide)
    file = tmp_path / "factstore.conf"
    file.write_text(guide)
    conf = configuration.read([str(file)], register_more=logs.register)
    assert conf.api.workers == 4
    parser = configparser.ConfigParser(interpolation=None, default_section="none")
    parser.read_string(guide)
    for group in ("api", "etcd"):
        for name in parser[group]:
            assert name in conf[group]


def test_the_reference_names_every_metric_and_no_other() -> None:
    metrics = Metrics()
    text = (DOC / "reference" / "metrics.rst").read_text()
    table = "\n".join(line for line in text.splitlines() if line.startswith("``"))
    named = set(re.findall(r"``factstore_(\w+?)(?:_total)?``", table))
    families = text_string_to_metric_families(metrics.exposition().decode())
    assert named == {family.name.removeprefix("factstore_") for family in families} - {
        f"{name}_created" for name in named
    }


def test_alerts_and_the_dashboard_use_metrics_of_the_reference() -> None:
    table = (DOC / "reference" / "metrics.rst").read_text()
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    texts = [rule["expr"] for rule in rules]
    texts += [each for panel in queries().values() for each in panel]
    used = set(re.findall(r"factstore_\w+", " ".join(texts)))
    assert len(used) > 10
    assert [name for name in used if f"``{name.removesuffix('_bucket')}``" not in table] == []


def is_there(name: str) -> bool:
    """Return True if a file, a directory, a module or a member of a module has this name."""
    module = re.sub(r"\.[A-Z]\w*(\.\w+)*$|\.[a-z]+_[a-z_]+$", "", name)
    return any(
        (home / each).exists()
        for home in (ROOT, ROOT / "factstore")
        for each in (name, module, f"{module}.py")
    )


def test_every_file_that_the_contributors_guides_name_is_there() -> None:
    texts = [(ROOT / "CONTRIBUTING.md").read_text()]
    texts += [page.read_text() for page in (DOC / "contributor").glob("*.rst")]
    for text in texts:
        named = re.findall(r"``?([a-z-]+/[\w./-]+)``?", text)
        named += re.findall(r"\]\(([^)#:]+)\)", text)
        assert [name for name in named if not is_there(name)] == ["htmlcov/index.html"] * (
            "htmlcov" in text
        )


def test_commands_install_from_the_source_because_no_index_has_the_package() -> None:
    for page in [*DOC.rglob("*.rst"), *ROOT.glob("*.md"), *ROOT.glob("[ae]*/**/*.md")]:
        installed = re.findall(r"pip install .*?(\S*factstore\S*)", page.read_text())
        assert [each for each in installed if "factstore/bin" not in each] == [], page


def waited_for(condition: dict[str, Any]) -> Iterator[str]:
    """Yield the paths of the facts in a waiter's condition, below those of their members."""
    for each in [*condition.get("all", []), *condition.get("any", [])]:
        yield from waited_for(each)
    if "every_member" in condition:
        yield condition["every_member"]["fact"]
    if "facts" in condition:
        yield re.sub(r"^(nodes|results)/[^/]+/", "", condition["facts"])


def heat_templates() -> dict[str, tuple[dict[str, Any], str]]:
    """Return the templates of guides and examples, each with its text and the files that it names."""
    found = {}
    for page in (DOC / "how-to").glob("heat-*.rst"):
        for number, block in enumerate(code(f"how-to/{page.name}", "yaml")):
            found[f"{page.name} {number}"] = yaml.safe_load(block), block
    for file in (ROOT / "examples" / "heat").rglob("*.yaml"):
        text = file.read_text()
        named = re.findall(r"get_file: ([^} \n]+)", text)
        texts = [text, *((file.parent / name).read_text() for name in named)]
        found[str(file.relative_to(ROOT))] = yaml.safe_load(text), "\n".join(texts)
    return found


def test_a_template_that_waits_for_a_fact_contains_what_publishes_it() -> None:
    checked = 0
    for name, (template, text) in heat_templates().items():
        for resource in template.get("resources", template).values():
            if not isinstance(resource, dict) or resource.get("type") != "OS::FactStore::Waiter":
                continue
            given = resource["properties"]
            for fact_path in waited_for(
                {"all": [given.get(n, {}) for n in ("success", "failure")]}
            ):
                if fact_path.startswith("agent/"):  # the agent's own state
                    continue
                *folder, last = fact_path.split("/")
                written = "/".join(
                    [*folder, rf"({last}|\$\w+)"]
                )  # a script may have it in a variable
                assert re.search(rf'factstore-agent put .*\b{written}["\s]', text), (
                    name,
                    fact_path,
                )
                checked += 1
    assert checked > 5


def toctrees() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each page that has entries in the sidebar, and the titles and names of these."""
    for page in sorted(DOC.rglob("*.rst")):
        found: list[tuple[str, str]] = []
        for block in re.findall(
            r"^\.\. toctree::\n((?:(?: .*)?\n)+)", page.read_text(), re.MULTILINE
        ):
            for line in re.findall(r"^   ([^:\s].*)$", block, re.MULTILINE):
                if match := re.fullmatch(r"(.+) <(.+)>", line):
                    found.append((match[1], match[2]))
                    continue
                text = (page.parent / f"{line}.rst").read_text()
                found.append((re.findall(r"^(\S.*)\n=+$", text, re.MULTILINE)[0], line))
        if found:
            yield str(page.relative_to(DOC)), found


def test_titles_in_the_sidebar_fit_in_a_line_and_begin_differently() -> None:
    pages = dict(toctrees())
    assert len(pages) == 8
    for page, entries in pages.items():
        titles = [title for title, _ in entries]
        assert [title for title in titles if len(title) > 26] == [], page
        assert len({title[:12] for title in titles}) == len(titles), page


def test_the_table_of_guides_has_each_guide_once_in_the_order_of_the_sidebar() -> None:
    text = (DOC / "how-to" / "index.rst").read_text()
    listed = re.findall(r":doc:`([a-z-]+)`", text)
    assert listed == [name for _, name in dict(toctrees())["how-to/index.rst"]]
