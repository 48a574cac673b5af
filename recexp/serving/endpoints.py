"""What is answered: one function for each path of the API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from recexp.algorithms.base import SimilarItems
from recexp.errors import ConfigError, DataError, did_you_mean
from recexp.serving import schemas
from recexp.serving.bodies import Bodies, each
from recexp.serving.feedback import Feedback
from recexp.serving.measures import CONTENT_TYPE, Measures
from recexp.serving.problems import Problem, shown
from recexp.serving.security import Rate
from recexp.serving.served import Served, idx_of, source_name
from recexp.streaming.events import Event
from recexp.streaming.store import Arrival

_LONGEST = 2_000
"""Characters of an id in a path; some datasets have long ones."""
IdText = Annotated[
    str, Path(description="an id of the dataset", json_schema_extra={"maxLength": _LONGEST})
]


class Endpoints:
    """The answers about runs in service; the first where none is named."""

    def __init__(
        self,
        served: Sequence[Served],
        feedback: Feedback,
        bodies: Bodies,
        measures: Measures,
        rate: Rate,
    ) -> None:
        self._served = served
        self._feedback = feedback
        self._bodies = bodies
        self._measures = measures
        self._rate = rate
        self._meaning = served[0].live.histories.meaning

    async def health(self) -> Response:
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        self._check_ready()
        return _json({"status": "ready"})

    async def models(self) -> Response:
        self._check_ready()
        return _json({"models": [one.described() for one in self._served]})

    async def users(self, query: Annotated[schemas.Page, Query()]) -> Response:
        served = self._model(None)
        ids = served.live.histories.users.ids
        found = [
            {"user": ids[at], "n_interactions": served.n_interactions(at)}
            for at in served.users.find(query.search, query.limit)
        ]
        return _json({"users": found, "n_users": len(ids)})

    async def items(self, query: Annotated[schemas.Page, Query()]) -> Response:
        served = self._model(None)
        ids = served.live.histories.items.ids
        found = [
            {"item": ids[at], "title": served.title(at)}
            for at in served.items.find(query.search, query.limit)
        ]
        return _json({"items": found, "n_items": len(ids)})

    async def lists(self, user: IdText, query: Annotated[schemas.Wanted, Query()]) -> Response:
        served = self._model(query.model)
        at = self._user(served, user)
        id_ = served.live.histories.users.ids[at]
        answer = served.live.recommend(
            id_,
            query.k,
            exclude_seen=query.exclude_seen == "true",
            allowed=self._allowed(served, query.filter),
        )
        reasons = served.reasons.of_user(at, answer) if query.reasons == "true" else []
        return _json(
            {
                "user": id_,
                "model": served.name,
                "source": source_name(answer.source),
                "items": served.listed(answer, reasons),
            }
        )

    async def list_of_history(self, request: Request) -> Response:
        body = await _body(request, self._bodies.history)
        served = self._model(body.model)
        ids = served.live.histories.items
        items = [one.item for one in body.history]
        values = [one.value for one in body.history]
        at = ids.to_idx(items)
        errors = [
            {"location": f"body.history.{n}.item", "message": f"{shown(item)!r} is unknown"}
            for n, (item, idx) in enumerate(zip(items, at.tolist(), strict=True))
            if idx < 0
        ]
        if errors:
            raise Problem(404, f"{len(errors)} items of the history are unknown", errors=errors)
        answer = served.live.recommend_to(
            items,
            values,
            body.k,
            exclude_seen=body.exclude_seen,
            allowed=self._allowed(served, body.filter),
        )
        reasons = served.reasons.of_history(at, values, answer) if body.reasons else []
        return _json(
            {
                "user": None,
                "model": served.name,
                "source": source_name(answer.source),
                "items": served.listed(answer, reasons),
            }
        )

    async def similar(self, item: IdText, query: Annotated[schemas.Similar, Query()]) -> Response:
        served = self._model(query.model)
        histories = served.live.histories
        at = self._known(histories.items, item, "item")
        if not isinstance(served.live.learned.recommender, SimilarItems):
            algorithm = type(served.live.learned.recommender).__name__
            raise Problem(409, f"{algorithm} does not compare items; serve tfidf, itemknn or als")
        id_ = histories.items.ids[at]
        try:
            answer = served.live.similar(id_, query.k)
        except (ConfigError, DataError) as error:  # so new that nothing is learned of it
            raise Problem(409, str(error)) from None
        return _json(
            {
                "item": id_,
                "title": served.title(at),
                "model": served.name,
                "items": served.listed(answer),
            }
        )

    async def profile(self, user: IdText, query: Annotated[schemas.ModelOnly, Query()]) -> Response:
        served = self._model(query.model)
        found = served.tastes.of(self._user(served, user))
        ids = served.live.histories.items.ids
        for one in found["history"]:
            one["title"] = served.title(one["item"])
            one["item"] = ids[one["item"]]
        return _json(found)

    async def take_events(self, request: Request) -> Response:
        body = await _body(request, self._bodies.events)
        self._check_ready()
        now = int(time.time())
        arrivals = [_arrival(one, now) for one in each(body)]
        for one in arrivals:
            self._meaning.check(one.event)  # the form of the body lets nothing else pass
        self._rate.take(request.client.host if request.client else "", len(arrivals))
        receipt = await self._feedback.add(arrivals)
        if receipt.conflicts:
            self._measures.events("conflict", len(arrivals))
            ids = ", ".join(map(repr, map(shown, receipt.conflicts[:3])))
            raise Problem(
                409, f"there are events with another content under the ids {ids}; nothing was taken"
            )
        self._measures.events("accepted", receipt.n_new)
        self._measures.events("duplicate", receipt.n_duplicates)
        document = {
            "accepted": receipt.n_new,
            "duplicates": receipt.n_duplicates,
            "ids": [one.event.id for one in arrivals],
        }
        return _json(document, 201)

    async def metrics(self) -> Response:
        return Response(self._measures.text(), media_type=CONTENT_TYPE)

    # -- what they share

    def _model(self, name: str | None) -> Served:
        self._check_ready()
        if name is None:
            return self._served[0]
        # Names here are unique, names of runs are not.
        found = [one for one in self._served if one.answers_to(name)]
        if found:
            return min(found, key=lambda one: one.name != name)
        names = [one.name for one in self._served]
        raise Problem(404, f"no model {shown(name)!r} is served{did_you_mean(name, names)}")

    def _check_ready(self) -> None:
        if not self._feedback.ready:
            raise Problem(
                503, "catching up with the events of the store", headers={"Retry-After": "1"}
            )

    def _user(self, served: Served, text: str) -> int:
        return self._known(served.live.histories.users, text, "user")

    def _known(self, ids: Any, text: str, side: str) -> int:
        """The idx of a user or item by the text of its id in a path."""
        try:
            written = unquote_to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            raise Problem(404, f"no {side} {shown(text)!r} is known") from None
        if len(written) > _LONGEST:
            message = f"expected at most {_LONGEST:,} characters"
            errors = [{"location": f"path.{side}", "message": message}]
            raise Problem(422, f"path.{side}: {message}", errors=errors)
        at = idx_of(ids, ids.parse([written])[0])
        if at < 0:
            what = "; send a history, or an event of that user" if side == "user" else ""
            raise Problem(404, f"no {side} {shown(written)!r} is known{what}")
        return at

    def _allowed(self, served: Served, filters: Sequence[str]) -> Any:
        try:
            return served.filters.allowed(filters)
        except DataError as error:
            raise Problem(
                422, str(error), errors=[{"location": "filter", "message": str(error)}]
            ) from None


async def _body(request: Request, form: TypeAdapter[Any]) -> Any:
    """The body of a request, checked. Raises RequestValidationError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Nothing else, so that no page of another site can send it without being asked.
    if kind != "application/json":
        raise Problem(415, "expected a body of Content-Type application/json")
    try:
        return form.validate_json(await request.body())
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in found]
        ) from None


def _arrival(body: Any, now: int) -> Arrival:
    dated = body.timestamp is not None
    event = Event(
        body.id or uuid.uuid4().hex,
        body.user,
        body.item,
        body.kind,
        getattr(body, "value", None),
        body.timestamp if dated else now,
    )
    return Arrival(event, dated)


def _json(document: Any, status: int = 200) -> Response:
    return Response(to_json(document), status, media_type="application/json")


NONE: Mapping[str, str] = {}


def html(page: tuple[str, str], status: int = 200, headers: Mapping[str, str] = NONE) -> Response:
    """Return the response of a page and its Content-Security-Policy."""
    text, policy = page
    return Response(text, status, {"Content-Security-Policy": policy, **headers}, "text/html")
