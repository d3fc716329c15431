from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from factstore.core.model import quick_dataclass as module
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope

# The type checker takes it for the decorator of Python, so it is looked up at runtime.
quick_dataclass: Any = vars(module)["quick_dataclass"]


def declare(decorator: Any, **options: bool) -> list[type]:
    """Return classes of all forms that the service uses."""

    @decorator(slots=True, **options)
    class Empty:
        """It has no field."""

    @decorator(slots=True, **options)
    class One:
        value: object

    @decorator(slots=True, **options)
    class Several:
        name: str
        number: int = 3
        hidden: str = field(default="-", repr=False)
        cached: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
        size: int = field(init=False, compare=False, repr=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "size", len(self.name))

    return [Empty, One, Several]


FORMS: tuple[dict[str, bool], ...] = (
    {},
    {"frozen": True},
    {"eq": False},
    {"frozen": True, "eq": False},
)
VALUES: list[list[tuple[Any, ...]]] = [
    [(), ()],
    [(1,), (1.0,), (True,), ("1",), (None,), (float("nan"),), ((1, 2),)],
    [("a",), ("a", 3), ("a", 4), ("b",), ("a", 3, "-"), ("a", 3, "+"), ("a", 3, "-", {"k": "v"})],
]


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_a_quick_dataclass_compares_hashes_and_shows_itself_like_one_of_python(
    options: dict[str, bool],
) -> None:
    pairs = zip(declare(dataclass, **options), declare(quick_dataclass, **options), strict=True)
    for (usual, quick), values in zip(pairs, VALUES, strict=True):
        of_python, own = [usual(*each) for each in values], [quick(*each) for each in values]
        for twice in (1, 2):  # the first comparison and the first hash compile them
            expected = [[one == other for other in of_python] for one in of_python]
            assert [[one == other for other in own] for one in own] == expected, twice
            if usual.__hash__ is None:
                assert quick.__hash__ is None
            elif "eq" not in options:
                assert [hash(each) for each in own] == [hash(each) for each in of_python]
        if options == {"frozen": True}:
            assert len(set(own)) == len(set(of_python))
        assert [repr(each) for each in own] == [repr(each) for each in of_python]
        assert [asdict(each) for each in own] == [asdict(each) for each in of_python]


def declare_with_arguments(decorator: Any) -> list[type]:
    """Return classes whose fields have all kinds of defaults."""

    @decorator(slots=True)
    class Base:
        name: str
        number: int = 3
        names: list[str] = field(default_factory=list)
        own: list[str] = field(init=False, default_factory=list)
        fixed: int = field(init=False, default=7)
        unset: int = field(init=False)

    @decorator(slots=True)
    class Heir(Base):
        number: int = 4
        more: object = ()
        named: int = field(kw_only=True)
        optional: str = field(default="x", kw_only=True)

        def __post_init__(self) -> None:
            self.unset = len(self.name)

    @decorator(slots=True)
    class Unchanged(Heir):
        pass

    return [Base, Heir, Unchanged]


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("a",), {}),
    (("a", 1, ["b"]), {}),
    (("a", 1, ["b"], 5), {"named": 2}),
    ((), {"name": "a", "named": 1, "optional": "y"}),
    (("a",), {"name": "a", "named": 1}),
    (("a",), {"named": 1, "other": 1}),
    (("a",), {"named": 1, "own": []}),
    (("a", 1, ["b"], 5, 6), {"named": 1}),
]


@pytest.mark.parametrize("at", range(3))
def test_a_quick_dataclass_takes_the_arguments_of_one_of_python(at: int) -> None:
    for positional, named in ARGUMENTS:
        # A new class each time, because the first call compiles what the second one uses.
        usual, quick = (declare_with_arguments(each)[at] for each in (dataclass, quick_dataclass))
        for _ in (1, 2):
            assert outcome(quick, positional, named) == outcome(usual, positional, named)


@pytest.mark.parametrize("at", range(3))
def test_a_quick_dataclass_shows_the_signature_of_one_of_python(at: int) -> None:
    for look in (lambda cls: cls, lambda cls: cls.__init__):
        # A new class each time, because the first look compiles what it shows.
        usual, quick = (declare_with_arguments(each)[at] for each in (dataclass, quick_dataclass))
        shown = [str(inspect.signature(look(each))) for each in (usual, quick)]
        assert shown[0] == shown[1]
    made: Any = declare_with_arguments(quick_dataclass)[at].__init__
    assert made.__qualname__.endswith(".__init__")
    assert made.__module__ == __name__


def outcome(made: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> object:
    """Return the fields of a new instance that are set, or the text of the refusal."""
    try:
        instance = made(*positional, **named)
    except TypeError as error:
        return str(error)
    names = [each.name for each in fields(made)]
    return {name: getattr(instance, name) for name in names if hasattr(instance, name)}


def test_instances_do_not_share_what_is_made_for_them() -> None:
    base, heir, _ = declare_with_arguments(quick_dataclass)
    one, other = base("a"), base("a")
    assert one.names is not other.names  # type: ignore[attr-defined]
    assert one.own is not other.own  # type: ignore[attr-defined]
    assert [each.name for each in fields(heir)][-2:] == ["named", "optional"]
    assert heir.__match_args__ == ("name", "number", "names", "more")  # type: ignore[attr-defined]


def test_an_instance_can_be_copied_and_pickled() -> None:
    made = Event(Scope("p", "s"), "s1", 3, ())
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again == made
    assert replace(made, revision=4).revision == 4


def test_instances_of_different_classes_are_never_equal() -> None:
    _, one, several = declare(quick_dataclass, frozen=True)

    @quick_dataclass(slots=True, frozen=True)
    class Heir(one):  # type: ignore[misc, valid-type]
        pass

    assert one("a") != several("a")
    assert one("a") != Heir("a")
    assert Heir("a") == Heir("a")
    assert hash(Heir("a")) == hash(("a",))
    assert one("a") != "a"


def test_methods_that_a_class_defines_itself_are_kept() -> None:
    @quick_dataclass(slots=True, frozen=True)
    class Own:
        value: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    assert Own(1) == Own(2)
    assert hash(Own(1)) == 7
    assert repr(Own(1)) == "own"


def test_an_instance_that_contains_itself_can_be_shown() -> None:
    _, one, _ = declare(quick_dataclass)
    loop = one(None)
    loop.value = [loop]
    assert repr(loop).endswith("One(value=[...])")


def test_arguments_can_be_required_to_have_names() -> None:
    @quick_dataclass(slots=True, kw_only=True)
    class Named:
        first: int
        second: int = 2

    assert replace(Named(first=1), second=3) == Named(first=1, second=3)
    with pytest.raises(TypeError):
        Named(1)


def test_setting_a_field_costs_no_check_at_runtime() -> None:
    frozen, quick = declare(dataclass, frozen=True)[1], declare(quick_dataclass, frozen=True)[1]
    with pytest.raises(FrozenInstanceError):
        frozen(1).value = 2  # type: ignore[attr-defined]
    changed = quick(1)
    changed.value = 2  # type: ignore[attr-defined]
    assert changed == quick(2)
