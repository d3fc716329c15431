from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, dataclass, field, replace
from typing import Any

import pytest

from factstore.core.model import quick_dataclass as module

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
