"""The paths of access rules, compared with a naive implementation of Keystone's documentation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.wsgi.auth.access_rules import keep_matching_rules, matches, paths_to_allow

WILD = {"*": r"[^/]+", "**": r".*"}

parts = st.sampled_from(
    ["*", "**", "{x}", "{}", "/", "/", "a", "b", "ab", ".", "a/", "+", "|", "("]
)
rules = st.lists(parts, max_size=7)
paths = st.text(st.sampled_from("ab/.x*(+|"), max_size=10)


def naive_match(rule: list[str], path: str) -> bool:
    pattern = "".join(
        WILD.get(part) or (WILD["*"] if part[0] == "{" else re.escape(part)) for part in rule
    )
    return re.fullmatch(pattern, path) is not None


@given(rules, paths)
def test_a_rule_matches_the_same_paths_as_the_naive_implementation(
    rule: list[str], path: str
) -> None:
    # In a row of stars, each two are one wildcard.
    rule = re.findall(r"\*\*|\*|[^*]+", "".join(rule))
    split = [piece for part in rule for piece in re.findall(r"\{[^}]*\}|\*+|.", part)]
    assert matches("".join(rule), path) == naive_match(split, path)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_rule_without_wildcards_matches_only_itself(rule: str, path: str) -> None:
    matched = matches(rule, path)
    if not re.search(r"\*|\{[^}]*\}", rule):
        assert matched == (rule == path)


MATCHING = [
    ("/v1/stacks/web.prod/context", "/v1/stacks/web.prod/context"),
    ("/v1/stacks/*/context", "/v1/stacks/web.prod/context"),
    ("/v1/stacks/{stack}/context", "/v1/stacks/web.prod/context"),
    ("/v1/stacks/web.*/context", "/v1/stacks/web.prod/context"),
    ("/v1/stacks/web/**", "/v1/stacks/web/facts/a/b"),
    ("/v1/stacks/web/**", "/v1/stacks/web/"),
    ("/v1/**/a", "/v1/stacks/web/facts/a"),
    ("/v1/stacks/*/facts/*", "/v1/stacks/a/facts/b"),
    ("**", ""),
    ("/a***", "/ab"),
    ("/a*b", "/abbb"),
]
NOT_MATCHING = [
    ("/v1/stacks/web.prod/context", "/v1/stacks/webXprod/context"),
    ("/v1/stacks/web.prod/context", "/v1/stacks/web/prod/context"),
    ("/v1/stacks/web/context", "/v1/stacks/web/context/"),
    ("/v1/stacks/web/context", "/v1/stacks/web/context\n"),
    ("/v1/stacks/web/context", "x/v1/stacks/web/context"),
    ("/v1/stacks/*/context", "/v1/stacks//context"),
    ("/v1/stacks/*/context", "/v1/stacks/a/b/context"),
    ("/v1/stacks/web/facts/*", "/v1/stacks/web/facts/a/b"),
    ("/v1/stacks/{stack}", "/v1/stacks/"),
    ("/v1/stacks/[a-z]", "/v1/stacks/a"),
    ("/v1/stacks/a|/v1/stacks/b", "/v1/stacks/ax"),
    ("/v1/stacks/a+", "/v1/stacks/aa"),
    ("/v1/stacks/(", "/v1/stacks/"),
    ("/v1/stacks/{a", "/v1/stacks/a"),
    ("/v1/stacks/a}", "/v1/stacks/a"),
    ("/a***", "/a"),
    ("", "/"),
]


@pytest.mark.parametrize(("rule", "path"), MATCHING)
def test_a_rule_matches(rule: str, path: str) -> None:
    assert matches(rule, path)


@pytest.mark.parametrize(("rule", "path"), NOT_MATCHING)
def test_a_rule_does_not_match(rule: str, path: str) -> None:
    assert not matches(rule, path)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "rule", ["/" + "**a" * 70, "/" + "*a" * 110 + "b", "/" + "(a+)+" * 40 + "b", "/" + "{x}**" * 40]
)
def test_every_rule_is_evaluated_quickly(rule: str) -> None:
    path = "/" + "a" * 1000
    for _ in range(20):
        assert matches(rule, path) in (True, False)


def token(*paths: str) -> dict[str, object]:
    rules = [{"service": "contextualization", "method": "GET", "path": path} for path in paths]
    return {"user": "u", "application_credential": {"id": "1", "access_rules": rules}}


def test_a_token_keeps_the_rules_that_match_the_path() -> None:
    given = token("/v1/a", "/v1/*", "/v1/.")
    kept = keep_matching_rules(given, "/v1/a")
    assert kept == token("**", "**")
    assert given == token("/v1/a", "/v1/*", "/v1/.")  # the token may be cached
    assert keep_matching_rules(given, "/v2") == token()


def test_a_token_without_rules_is_not_restricted() -> None:
    for free in ({"user": "u"}, {"application_credential": {"id": "1", "restricted": True}}):
        assert keep_matching_rules(free, "/v1/a") == free


def test_a_recursive_deletion_is_allowed_by_two_stars_only() -> None:
    path = "/v1/stacks/s/facts/a"
    for query in ("recursive=true", "x=1&recursive=true", "%72ecursive=true", "recursive=x"):
        itself, below = paths_to_allow("DELETE", path, query)
        assert itself == path
        for rule in ("/v1/stacks/s/facts/**", "/v1/**"):
            assert matches(rule, below)
        for rule in (path, "/v1/stacks/s/facts/*", f"{path}/*", f"{path}/*/*", "/v1/*/*/*/*"):
            assert not matches(rule, below)
    for method, query in (("DELETE", ""), ("DELETE", "recursive=false"), ("GET", "recursive=true")):
        assert paths_to_allow(method, path, query) == (path,)
