"""The HTTP application over fitted models: recommendations, feedback, profiles, the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

import recexp
from recexp.errors import StorageError
from recexp.serving import schemas
from recexp.serving.bodies import Bodies
from recexp.serving.docs import docs
from recexp.serving.endpoints import Endpoints, html
from recexp.serving.feedback import Feedback
from recexp.serving.filters import form_of
from recexp.serving.measures import Measures
from recexp.serving.openapi import describe
from recexp.serving.page import page
from recexp.serving.problems import on_invalid, on_problem, problem
from recexp.serving.security import Access, Gate, Rate
from recexp.serving.served import Served
from recexp.streaming.store import EventStore


def application(
    served: Sequence[Served],
    store: EventStore,
    *,
    access: Access | None = None,
    rate: float | None = None,
    on_ready: Callable[[Exception | None], None] = lambda error: None,
) -> FastAPI:
    """Return the application over runs whose ids and ratings agree (see `check_together`).

    Args:
        served: the runs; the first answers where none is named.
        store: of the events; within its `writing`.
        access: who may ask; None: everybody on this machine.
        rate: events per second and client; None: as many as come.
        on_ready: called when the store's events are caught up with, or with what is in the way.
    """
    access = access or Access()
    feedback = Feedback(served, store, on_ready)
    measures = Measures(served, lambda: feedback.n_waiting)
    bodies = Bodies(served[0].live.histories.meaning)
    app = FastAPI(
        title="recexp",
        version=recexp.__version__,
        description="Recommendations of fitted models, which follow feedback at once.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lambda _: feedback.alive(),
        exception_handlers={
            HTTPException: on_problem,
            RequestValidationError: on_invalid,
            StorageError: _on_storage,
        },
    )
    _add_answers(app, Endpoints(served, feedback, bodies, measures, Rate(rate)))
    columns = {name for one in served for name in one.live.model.train.item_columns}
    description = describe(app, bodies, form_of(columns), token=access.token is not None)
    the_page = page()
    _add_pages(app, the_page, docs(description))
    unauthorized = {"WWW-Authenticate": "Bearer"}
    app.add_middleware(
        Gate,
        access=access,
        measures=measures,
        unauthorized=lambda: html(the_page, 401, unauthorized),
    )
    return app


def _add_answers(app: FastAPI, answers: Endpoints) -> None:
    listed = schemas.Recommendations
    for path, summary, model, answer in (
        ("/health", "Alive", schemas.Health, answers.health),
        ("/ready", "Caught up with the events", schemas.Ready, answers.ready),
        ("/models", "What is served", schemas.Models, answers.models),
        ("/users", "Users by the text of their id", schemas.Users, answers.users),
        ("/items", "Items by title or id", schemas.Items, answers.items),
        ("/users/{user}/recommendations", "The best items for a user", listed, answers.lists),
        ("/users/{user}/profile", "What a user did and likes", schemas.Profile, answers.profile),
        ("/items/{item}/similar", "Items like an item", schemas.SimilarItemsList, answers.similar),
    ):
        app.get(path, summary=summary, response_model=model)(answer)
    summary = "The best items for a history that is not kept"
    app.post("/recommendations", summary=summary, response_model=listed)(answers.list_of_history)
    summary = "Feedback: one event, or up to 1,000"
    taken = schemas.Accepted
    app.post("/events", summary=summary, response_model=taken, status_code=201)(answers.take_events)
    app.get("/metrics", response_class=Response, include_in_schema=False)(answers.metrics)


def _add_pages(app: FastAPI, the_page: tuple[str, str], documentation: tuple[str, str]) -> None:
    @app.get("/", response_class=Response, include_in_schema=False)
    async def get_page() -> Response:
        return html(the_page)

    @app.get("/docs", response_class=Response, include_in_schema=False)
    async def get_docs() -> Response:
        return html(documentation)


async def _on_storage(request: Request, error: Exception) -> Response:
    """The store does not take events: what the log says is not the clients' business."""
    return problem(
        503,
        "the events could not be stored; nothing is lost, send them again with the same ids",
        headers={"Retry-After": "1"},
    )
