"""Where events come from: a dataset, lines of JSON, a Kafka topic."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from recexp.arrays import IntArray
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError, StorageError
from recexp.streaming.events import LATEST, Event, Meaning

log = logging.getLogger(__name__)


def in_time(rows: Interactions, rng: np.random.Generator) -> IntArray:
    """Return the positions of interactions in the order of time, int64.

    The order within a second is drawn: that of rows and ids, which follows popularity in real
    data, says nothing.
    """
    assert rows.timestamp is not None
    order: IntArray = np.lexsort((rng.permutation(len(rows)), rows.timestamp))
    return order


def of_dataset(dataset: Dataset, rows: Interactions) -> Iterator[Event]:
    """Yield `rows` of a dataset as events: ratings, or without a scale likes."""
    assert rows.timestamp is not None
    users, items = dataset.users.ids, dataset.items.ids
    columns = (rows.user_idx, rows.item_idx, rows.value, rows.timestamp)
    parts = zip(*(column.tolist() for column in columns), strict=True)
    for n, (user, item, value, second) in enumerate(parts):
        if dataset.explicit:
            yield Event(str(n), users[user], items[item], "rating", value, second)
        else:
            yield Event(str(n), users[user], items[item], "like", None, second)


@dataclass
class Lines:
    """Events written as JSON, one object a line, of which bad ones are told and counted.

    An object has `user`, `item`, and a `kind` (`view`, `like`, `rating`, `dismiss`) or the `value`
    of a rating; `timestamp` in seconds since 1970 (else it is now) and `id`, if it has them. Other
    keys are ignored.
    """

    meaning: Meaning
    clock: Callable[[], float] = time.time
    n_bad: int = 0
    first_bad: list[str] = field(default_factory=list)

    def events(self, lines: Iterable[str | bytes]) -> Iterator[Event]:
        """Yield the events of those lines that are good; empty lines are none."""
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                event = self._event(line, number)
            except DataError as error:
                self.n_bad += 1
                text = f"line {number}: {error}"
                log.warning("%s", text)
                if len(self.first_bad) < 20:
                    self.first_bad.append(text)
                continue
            yield event

    def _event(self, line: str | bytes, number: int) -> Event:
        try:
            told = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"no JSON ({error or 'nested too deeply'})") from error
        if not isinstance(told, dict):
            raise DataError('expected an object such as {"user": 1, "item": 2, "kind": "like"}')
        for key in ("user", "item"):
            if key not in told:
                raise DataError(f"no '{key}'; found {', '.join(map(repr, list(told)[:6])) or '{}'}")
        value = told.get("value")
        kind = told.get("kind", None if value is None else "rating")
        if kind is None:
            raise DataError("neither 'kind' nor 'value'; expected one of them")
        if value is not None and not _is_number(value):
            raise DataError(f"value: {str(value)[:60]}; expected a number")
        event = Event(
            str(told.get("id", number)),
            told["user"],
            told["item"],
            kind,
            None if value is None else float(value),
            _second(told.get("timestamp", self.clock())),
        )
        self.meaning.check(event)
        return event


def _second(timestamp: Any) -> int:
    # Beyond the year 9999 are those in milliseconds; one of them would stop the stream's clock.
    if not _is_number(timestamp) or not 0 <= timestamp <= LATEST:
        raise DataError(f"timestamp: {str(timestamp)[:60]}; expected seconds since 1970")
    return int(timestamp)


def _is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that is finite and exact as float64."""
    return type(value) in (int, float) and abs(value) < 2**53


def kafka_address(source: str) -> tuple[str, str]:
    """Return the brokers and the topic of `kafka://HOST:PORT[,HOST:PORT]/TOPIC`.

    >>> kafka_address("kafka://localhost:9092/clicks")
    ('localhost:9092', 'clicks')
    """
    parts = urlsplit(source)
    topic = parts.path.strip("/")
    if parts.scheme != "kafka" or not parts.netloc or not topic or "/" in topic or parts.query:
        raise ConfigError(f"source={source}: expected kafka://HOST:PORT/TOPIC")
    return parts.netloc, topic


def kafka_lines(source: str, idle_seconds: float | None) -> Iterator[bytes]:
    """Yield the messages of a topic from its beginning, as they come.

    Ends when none came for `idle_seconds`; without, never. Raises ConfigError when the client is
    not installed, StorageError when no broker answers or there is no such topic.
    """
    brokers, topic = kafka_address(source)
    try:
        import confluent_kafka as kafka
    except ImportError as error:
        raise ConfigError(
            "source=kafka://... needs the Kafka client: pip install 'recexp[kafka]'"
        ) from error
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "recexp-replay",  # required; nothing is committed to it
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        try:
            topics = consumer.list_topics(timeout=10).topics
        except kafka.KafkaException as error:
            raise StorageError(f"no Kafka broker answers at {brokers} ({_said(error)})") from error
        if topic not in topics:
            raise StorageError(
                f"no topic '{topic}' at {brokers}; it has: {', '.join(sorted(topics)) or 'none'}"
            )
        consumer.assign(
            [
                kafka.TopicPartition(topic, number, kafka.OFFSET_BEGINNING)
                for number in topics[topic].partitions
            ]
        )
        yield from _messages(consumer, brokers, idle_seconds)
    finally:
        consumer.close()


def _messages(consumer: Any, brokers: str, idle_seconds: float | None) -> Iterator[bytes]:
    last = time.monotonic()
    while idle_seconds is None or time.monotonic() - last < idle_seconds:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            if message.error().retriable():
                continue
            raise StorageError(f"the Kafka broker at {brokers} failed: {message.error().str()}")
        yield message.value() or b"null"
        last = time.monotonic()


def _said(error: Any) -> str:
    return str(error.args[0].str() if error.args else error)
