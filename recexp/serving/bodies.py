"""The bodies that are taken: histories and events, with the ids and ratings of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    create_model,
)

from recexp.serving.schemas import Count, Filters, Name, between
from recexp.streaming.events import LATEST, LONGEST_ID, Meaning

LONGEST_HISTORY = 1000
MOST_EVENTS = 1000
_EARLIEST = -62_135_596_800
"""The first second of the year 1."""


class Taken(BaseModel):
    """What is taken: nothing but what is described, and of the types that it has in JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _seconds(time: int | str) -> int:
    """Seconds since 1970 of a time in seconds, or in ISO 8601 (UTC where it says none)."""
    if isinstance(time, str):
        try:
            read = datetime.fromisoformat(time)
            time = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            raise ValueError(
                "expected seconds since 1970, or a time such as 2026-01-31T12:00:00Z"
            ) from None
    if not _EARLIEST <= time <= LATEST:
        raise ValueError("expected a time from the year 1 to 9999")
    return time


_EventId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_ID,
        pattern=r"^[^\x00-\x1f]+$",
        description="any text; the same again changes nothing. One is made where there is none.",
    ),
]
_Time: Any = Annotated[
    between(_EARLIEST, LATEST) | Annotated[str, Field(json_schema_extra={"format": "date-time"})],
    AfterValidator(_seconds),
    Field(description="seconds since 1970, or ISO 8601; else now"),
]


class Bodies:
    """The bodies of requests about the users and items of a dataset, with its ids and ratings."""

    def __init__(self, meaning: Meaning) -> None:
        user, item = _id(whole=meaning.whole_users), _id(whole=meaning.whole_items)
        value: Any = Annotated[float, Field(gt=0, le=1e6, description="a strength; else 1")]
        if meaning.scale is not None:
            low, high = meaning.scale
            value = Annotated[float, Field(ge=low, le=high, description="a rating; else a like")]
        self.history: TypeAdapter[Any] = TypeAdapter(_history(item, value))
        self.events: TypeAdapter[Any] = TypeAdapter(_events(meaning, user, item, value))


def _id(*, whole: bool) -> Any:
    if whole:
        return between(1 - 2**63, 2**63 - 1)
    return Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]


def _history(item: Any, value: Any) -> Any:
    entry: Any = create_model("Entry", __base__=Taken, item=(item, ...), value=(value | None, None))
    return create_model(
        "History",
        __base__=Taken,
        history=(Annotated[list[entry], Field(max_length=LONGEST_HISTORY)], ...),
        k=(Count, 10),
        exclude_seen=(bool, True),
        filter=(Filters, []),
        model=(Name, None),
        reasons=(bool, True),
    )


def _events(meaning: Meaning, user: Any, item: Any, value: Any) -> Any:
    """One event, or several: those with a value and those without are told apart by their kind."""
    common: dict[str, Any] = {
        "id": (_EventId | None, None),
        "user": (user, ...),
        "item": (item, ...),
        "timestamp": (_Time | None, None),
    }
    kinds = tuple(kind for kind in meaning.kinds if kind != "rating")
    plain: Any = Literal[kinds]
    one: Any = create_model("Deed", __base__=Taken, **common, kind=(plain, ...))
    if meaning.scale is not None:
        common["kind"] = (Literal["rating"], ...)
        rating = create_model("Rating", __base__=Taken, **common, value=(value, ...))
        one = Annotated[one | rating, Field(discriminator="kind")]
    some = Annotated[list[one], Field(min_length=1, max_length=MOST_EVENTS)]
    several = create_model("Events", __base__=Taken, events=(some, ...))
    return Annotated[
        Annotated[one, Tag("#one")] | Annotated[several, Tag("#several")],
        Discriminator(lambda body: "#several" if _is_batch(body) else "#one"),
    ]


def _is_batch(body: Any) -> bool:
    return isinstance(body, dict) and "events" in body


def each(body: Any) -> Sequence[Any]:
    """Return the events of a body: one, or several."""
    several: Sequence[Any] | None = getattr(body, "events", None)
    return [body] if several is None else several
