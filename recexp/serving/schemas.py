"""What the API takes in queries, and what it gives; pydantic checks the former."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from recexp.streaming.events import LONGEST_ID

MOST = 500
"""Items of a list."""
MOST_FILTERS = 10

Id = int | str


class Given(BaseModel):
    """What is given."""

    model_config = ConfigDict(extra="forbid")


def _whole(number: Any) -> Any:
    """A whole number also where JSON writes it `7.0`."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def between(low: int, high: int, description: str | None = None) -> Any:
    """Return the type of a whole number from `low` to `high`."""
    field: Any = Field(ge=low, le=high, description=description)
    return Annotated[int, field, BeforeValidator(_whole)]


# -- queries

Count: Any = between(1, MOST, "how many items")
Search = Annotated[str, Field(max_length=LONGEST_ID)]
Name = Annotated[
    str | None, Field(max_length=LONGEST_ID, description="of GET /models; else the first")
]
Flag = Literal["true", "false"]
Filters = Annotated[
    list[Annotated[str, Field(max_length=LONGEST_ID)]],
    Field(
        max_length=MOST_FILTERS,
        description="`COLUMN:TEXT` has the text among the column's values, `!COLUMN:TEXT` has not; "
        "`COLUMN>=NUMBER` (also <=, >, <, =) compares numbers. All of them hold.",
        examples=[["genres:Comedy", "!genres:Horror", "year>=1990"]],
    ),
]


class Query(BaseModel):
    """Query parameters: nothing but those described."""

    model_config = ConfigDict(extra="forbid")


class Page(Query):
    search: Search = ""
    limit: Annotated[int, Field(ge=1, le=MOST)] = 20


class ModelOnly(Query):
    model: Name = None


class Similar(Query):
    k: Count = 10
    model: Name = None


class Wanted(Query):
    k: Count = 10
    exclude_seen: Flag = "true"
    filter: Filters = []
    model: Name = None
    reasons: Flag = "true"


# -- answers


class Health(Given):
    status: Literal["ok"]


class Ready(Given):
    status: Literal["ready"]


class Place(Given):
    location: str
    message: str


class ProblemDetails(Given):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Place] | None = None


class Model(Given):
    name: str
    run_id: str
    run_name: str
    algorithm: str
    dataset: str
    policy: Literal["fold_in", "incremental", "static"]
    updates: str
    n_users: int
    n_items: int
    version: int
    n_events: int
    n_learned: int
    n_refits: int
    n_failed: int
    failure: str | None
    metrics: dict[str, float]
    similar_items: bool
    explains: bool
    scale: tuple[float, float] | None
    relevance_threshold: float | None
    kinds: list[Literal["view", "like", "rating", "dismiss"]]
    filters: dict[str, list[str] | Literal["number"]]


class Models(Given):
    models: list[Model]


class User(Given):
    user: Id
    n_interactions: int


class Users(Given):
    users: list[User]
    n_users: int


class Item(Given):
    item: Id
    title: str | None


class Items(Given):
    items: list[Item]
    n_items: int


class Reason(Given):
    """Why; with an item of the user's history, a term of the item's text, or a number of users."""

    text: str
    weight: float
    item: Id | None = None
    term: str | None = None
    users: int | None = None


class Listed(Given):
    item: Id
    rank: int
    score: float
    title: str | None
    columns: dict[str, str]


class Recommended(Listed):
    reasons: list[Reason]


class Recommendations(Given):
    user: Id | None
    model: str
    source: Literal["model", "fold_in", "popularity"]
    items: list[Recommended]


class SimilarItemsList(Given):
    item: Id
    title: str | None
    model: str
    items: list[Listed]


class Accepted(Given):
    accepted: int
    duplicates: int
    ids: list[str]


class Taste(Given):
    column: str
    value: str
    n: int
    share: float
    mean_value: float | None


class Done(Given):
    item: Id
    title: str | None
    value: float | None
    kind: Literal["training", "view", "like", "rating", "dismiss"]
    time: str | None


class Profile(Given):
    user: Id
    n_interactions: int
    n_events: int
    mean_value: float | None
    first: str | None
    last: str | None
    tastes: list[Taste]
    history: list[Done]
