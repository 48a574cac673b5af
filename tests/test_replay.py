"""Replays as a user meets them: the record, the command line, live sources."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import recexp
from recexp.errors import ConfigError, DataError, StorageError
from recexp.replay.record import ReplayResult
from recexp.replay.run import replay, replay_once, replay_plan
from recexp.replay.settings import read_settings, seconds
from recexp.reproduction import reproduce
from recexp.streaming.events import Meaning
from recexp.streaming.sources import Lines
from recexp.study.definition import read_study
from recexp.study.study import run_study
from recexp.tracking.records import RunReader

SMALL = ("dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60")
SMALL += ("dataset.n_interactions=1200", "plots=false")


class Replays:
    """Replays of one stream in a store of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fold_in = replay(*SMALL[:-1], "algo=ease", "policy=fold_in", "n_windows=30")
        self.nightly = replay(*SMALL, "algo=ease", "policy=refit", "refit_every=30d")
        self.svd = replay(*SMALL, "algo=svd", "policy=static", "algo.epochs=2")

    def artifacts(self, result: ReplayResult) -> Path:
        return self.folder / "mlruns" / "recexp" / str(result.run_id) / "artifacts"

    def status(self, run_id: str) -> Any:
        return self.rows(f"select status from runs where run_uuid = '{run_id}'")[0][0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.folder / "mlflow.db") as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("replays")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        yield Replays(folder)


def test_a_replay_is_recorded_like_any_run(replays: Replays) -> None:
    (run,) = RunReader().named([str(replays.fold_in.run_id)])
    assert run.name == "ease-synthetic-replay-fold_in"
    assert run.key.status == "FINISHED"
    expected = {"algo": "ease", "dataset": "synthetic", "split": "replay", "seed": "42"}
    expected |= {"stream.policy": "fold_in", "stream.warmup_fraction": "0.5", "stream.delay": "0s"}
    assert expected.items() <= run.params.items()
    assert "split.test_fraction" not in run.params
    assert run.tags["mlflow.source.name"] == "recexp replay"
    for name in ("ndcg_at_10", "hit_rate_at_10", "new_users/ndcg_at_10", "time/score_p99_ms"):
        assert name in run.metrics
    assert run.metrics["ndcg_at_10_ci_low"] < run.metrics["ndcg_at_10"]
    assert run.metrics["stream/events"] == 600
    assert {path.name for path in replays.artifacts(replays.fold_in).iterdir()} == {
        *("config.yaml", "provenance.json", "windows.csv", "per_user.parquet", "events.parquet"),
        *("metrics.csv", "split_audit.json", "data_profile.json", "model", "plots"),
    }
    config = yaml.safe_load((replays.artifacts(replays.fold_in) / "config.yaml").read_text())
    assert config["stream"]["policy"] == "fold_in"


def test_the_metrics_are_those_of_the_ranks_in_events(replays: Replays) -> None:
    for result in (replays.fold_in, replays.nightly):
        events = pq.read_table(replays.artifacts(result) / "events.parquet").to_pydict()
        assert events["timestamp"] == sorted(events["timestamp"])
        by_user: dict[Any, list[tuple[float, float, float]]] = {}
        for user, rank in zip(events["user_id"], events["rank"], strict=True):
            within = rank is not None and rank <= 10
            one = (float(within), 1 / rank, 1 / np.log2(rank + 1)) if within else (0.0, 0.0, 0.0)
            by_user.setdefault(user, []).append(one)
        means = np.array([np.mean(rows, axis=0) for rows in by_user.values()]).mean(axis=0)
        names = ("hit_rate_at_10", "mrr_at_10", "ndcg_at_10")
        for name, mean in zip(names, means, strict=True):
            assert result.metrics[name] == pytest.approx(mean)
        assert result.metrics["map_at_10"] == result.metrics["mrr_at_10"]
        assert result.metrics["recall_at_10"] == result.metrics["hit_rate_at_10"]
        assert result.metrics["evaluated_users"] == len(by_user)


def test_windows_are_steps_and_rows_that_add_up(replays: Replays) -> None:
    query = "select step, value from metrics where key = '{}' and run_uuid = '{}' order by step"
    run = replays.fold_in.run_id
    steps = replays.rows(query.format("window/n_tests", run))
    assert [step for step, _ in steps] == list(range(30))
    with (replays.artifacts(replays.fold_in) / "windows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["n_tests"]) for row in rows] == [value for _, value in steps]
    assert sum(int(row["n_events"]) for row in rows) == 600
    assert all(row["end"] == later["start"] for row, later in itertools.pairwise(rows))
    ndcg = replays.rows(query.format("window/ndcg_at_10", run))
    kept = {int(row["window"]): float(row["ndcg_at_10"]) for row in rows if row["ndcg_at_10"]}
    assert dict(ndcg) == pytest.approx(kept)
    # The value of the whole stream stands under the usual name, once.
    whole = replays.rows(query.format("ndcg_at_10", run))
    assert whole == [(0, replays.fold_in.metrics["ndcg_at_10"])]


def test_all_policies_test_the_same_stream_and_compare(replays: Replays) -> None:
    ids = [str(one.run_id) for one in (replays.fold_in, replays.nightly, replays.svd)]
    found = recexp.compare(*ids, metrics=["ndcg@10", "coverage@10"], segments=True)
    labels = {run.run_id: run.label for run in found.runs}
    assert "policy=fold_in" in labels[ids[0]]
    assert "policy=refit refit_every=30d" in labels[ids[1]]
    assert labels[ids[2]] == "svd"
    table = found.metrics[0]
    values = {run.run_id: one.value for run, one in zip(found.runs, table.estimates, strict=True)}
    for result in (replays.fold_in, replays.nightly):
        assert values[str(result.run_id)] == pytest.approx(result.metrics["ndcg_at_10"])
    assert any(one.metric == "new_users/ndcg@10" for one in found.segments)
    assert replays.fold_in.outcome.tests.user_idx.tolist() == (
        replays.svd.outcome.tests.user_idx.tolist()
    )


def test_another_stream_or_a_run_on_a_split_is_not_compared_with_a_replay(
    replays: Replays,
) -> None:
    shorter = replay(*SMALL, "algo=ease", "policy=static", "max_events=300")
    assert shorter.outcome.facts["n_events"] == 300
    split = recexp.run(*SMALL, "algo=ease", "split=temporal", "split.test_fraction=0.5")
    for other in (shorter, split):
        with pytest.raises(ConfigError, match="splits differ"):
            recexp.compare(str(replays.fold_in.run_id), str(other.run_id))


def test_ratings_are_measured_where_they_are_predicted(replays: Replays) -> None:
    metrics = replays.svd.metrics
    assert 0.5 < metrics["rmse"] < 2
    assert metrics["rmse"] == pytest.approx(np.sqrt(metrics["mse"]))
    assert metrics["rmse_ci_low"] < metrics["rmse"] < metrics["rmse_ci_high"]
    assert "rmse" not in replays.fold_in.metrics


def test_the_model_of_a_replay_recommends(replays: Replays) -> None:
    model = recexp.load(str(replays.nightly.run_id))
    assert len(model.train.interactions) == 1200
    listed = model.recommend(model.train.users.ids[:2], 5)
    assert len(listed) == 10
    fold_in = recexp.load(str(replays.fold_in.run_id))
    assert len(fold_in.train.interactions) == 600


def test_a_model_of_a_replay_that_was_changed_is_refused(replays: Replays) -> None:
    manifest = replays.artifacts(replays.fold_in) / "model" / "data" / "manifest.json"
    written = manifest.read_text()
    manifest.write_text(written + " ")  # it lists the hashes of all other files
    try:
        with pytest.raises(StorageError, match="was changed since the run recorded it"):
            recexp.load(str(replays.fold_in.run_id))
    finally:
        manifest.write_text(written)


def test_a_replay_is_found_again_and_not_made_twice(replays: Replays) -> None:
    again = replay_once(*SMALL, "algo=ease", "policy=refit", "refit_every=30d")
    assert again == replays.nightly.run_id
    with pytest.raises(ConfigError, match="is a replay: run it again by `recexp replay`"):
        reproduce(again)


def test_a_study_may_replay(replays: Replays, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    step = f"algo=popularity policy=static,incremental n_windows=2 {' '.join(SMALL)}"
    bad = f"algo=popularity policy=fold_in {' '.join(SMALL)}"
    steps = [{"replay": step}, {"replay": bad}]
    (folder / "study.yaml").write_text(yaml.safe_dump({"question": "Which?", "steps": steps}))
    result = run_study(read_study(folder), folder)
    header, *rows = result.tables["Runs"]
    assert header[:2] == ["policy", "update_every"]
    assert len(rows) == 2
    assert len(result.failed) == 1
    assert "Popularity cannot fold users in" in result.failed[0]
    assert (folder / "report.html").read_text().count("policy=incremental") > 0
    again = run_study(read_study(folder), folder)
    assert again.tables == result.tables


# -- what can be wrong


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["algo=als"], r"needs a policy: policy=static \| fold_in \| incremental \| refit"),
        (["policy=increment"], "policy=increment; did you mean 'incremental'"),
        (["algo=popularity", "policy=fold_in"], "Popularity cannot fold users in"),
        (["policy=static", "refit_every=1d"], "static never learns"),
        (["policy=static", "split=random"], "split=random does not apply to a replay"),
        (["policy=static", "split.test_fraction=0.1"], "does not apply to a replay"),
        (["policy=static", "split@validation=random"], "does not apply to a replay"),
        (["policy=static", "candidates=sampled"], "the whole catalogue is ranked"),
        (["policy=static", "metrics=[auc]"], "'auc' needs the scores of all items"),
        (["policy=static", "metrics=[calibration]"], "cannot be measured on a stream"),
        (["policy=static", "metrics=[rmse]"], "Popularity predicts no ratings"),
        (["policy=static", "warmup_fraction=1.5"], "warmup_fraction=1.5: expected a number"),
        (["policy=static", "warmup_fraction=half"], "warmup_fraction='half': expected a number"),
        (["policy=static", "n_windows=0"], "n_windows=0: expected a whole number >= 1"),
        (["policy=static", "n_windows=5", "window=7d"], "n_windows or window, not both"),
        (["policy=static", "delay=soon"], "delay=soon: expected a time such as 45s"),
        (["policy=refit", "refit_every=0"], "refit_every=0: expected a time > 0"),
        (["policy=static", "source=ftp://x"], "expected dataset, - "),
        (["policy=static", "source=kafka://x"], "expected kafka://HOST:PORT/TOPIC"),
        (["policy=static", "idle_seconds=5"], "idle_seconds is of source=kafka"),
        (["policy=static,refit"], "a replay is one run; give one value"),
        (["policy=static", "algo=als,ease"], "a replay is one run; give one value"),
        (["policy=static", "polcy=3"], "no config key 'polcy'"),
        (["policy=static", "algo=alz"], "no option algo=alz; did you mean 'als'"),
    ],
)
def test_a_mistake_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        replay_plan(overrides)
    assert "\n" not in str(error.value)


def test_a_dataset_without_time_cannot_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("user,item\n" + "".join(f"{n % 7},{n % 11}\n" for n in range(60)))
    with pytest.raises(DataError, match="a replay goes by time"):
        replay("dataset=csv", f"dataset.path={path}", "policy=static", "tracking=none")


def test_a_stream_of_nothing_relevant_is_refused_before_the_fit() -> None:
    with pytest.raises(DataError, match="no event of the stream is relevant: none of its 600 has"):
        replay(*SMALL, "algo=ease", "policy=static", "relevance_threshold=9", "tracking=none")


def test_times_are_read_in_the_usual_units() -> None:
    assert [seconds("delay", one) for one in (90, "45s", "5m", "1h", "7d", "2w")] == [
        *(90, 45, 300, 3_600, 604_800, 1_209_600)
    ]
    settings, rest = read_settings(["policy=refit", "source=kafka://h:1/t", "algo=als"])
    assert (settings.source, settings.followed().refit_every, rest) == (
        *("kafka://h:1/t", 86_400),
        ["algo=als"],
    )


# -- live sources


def lines_of(lines: Sequence[str], scale: tuple[float, float] | None = None) -> Any:
    lines_ = Lines(Meaning(scale, whole_users=True, whole_items=True), clock=lambda: 77.9)
    return list(lines_.events(lines)), lines_


def test_lines_become_events_and_bad_ones_are_told_by_number() -> None:
    events, lines = lines_of(
        [
            '{"user": 1, "item": 2, "value": 4, "timestamp": 5.5}',
            "",
            '{"user": 1, "item": 2}',
            '{"user": 1, "item": 2, "kind": "like", "id": "x", "other": [1]}',
            "not json",
            "[1, 2]",
            '{"item": 2, "kind": "like"}',
            '{"user": "a", "item": 2, "kind": "like"}',
            '{"user": 1, "item": 2, "value": 9}',
            '{"user": 1, "item": 2, "value": NaN}',
            '{"user": 1, "item": 2, "value": true}',
            '{"user": 1, "item": 2, "kind": ["like"]}',
            '{"user": 1, "item": 2, "kind": "like", "timestamp": "noon"}',
            '{"user": 1, "item": 2, "kind": "like", "timestamp": -4}',
            '{"user": 1, "item": 2, "kind": "like", "timestamp": 1700000000000}',
            f'{{"user": 1, "item": 2, "kind": "like", "timestamp": 1{"0" * 400}}}',
            f'{{"user": 1, "item": 2, "value": 1{"0" * 400}}}',
            f'{{"user": 1{"0" * 400}, "item": 2, "value": 1}}',
            "[" * 100_000,
            b"\xff\xfe",
        ],
        scale=(1, 5),
    )
    assert [(one.kind, one.value, one.timestamp, one.id) for one in events] == [
        ("rating", 4.0, 5, "1"),
        ("like", None, 77, "x"),
    ]
    assert lines.n_bad == 17
    assert lines.first_bad[0] == "line 3: neither 'kind' nor 'value'; expected one of them"
    assert [one.split(":")[0] for one in lines.first_bad[1:]] == [
        f"line {number}" for number in range(5, 21)
    ]
    assert "no 'user'; found 'item', 'kind'" in lines.first_bad[3]


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(recexp.__file__).parent.parent)}
    return subprocess.Popen(
        [sys.executable, "-m", "recexp", "replay", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(user: int, item: int, second: int) -> str:
    """A line on a new user, who likes a known item."""
    event = {"user": f"new{user}", "item": f"i{item:02}", "value": 5, "timestamp": second}
    return json.dumps(event) + "\n"


LATER = 2_000_000_000


def test_standard_input_is_tested_and_learned_line_by_line(
    replays: Replays, tmp_path: Path
) -> None:
    process = start(
        *("algo=ease", "policy=fold_in", "source=-", "log_every=50", "--format", "json", *SMALL),
        cwd=tmp_path,
    )
    lines = [told(n % 9, n // 9 + 1, LATER + n) for n in range(100)]
    lines[30:30] = ["{broken\n", "\n"]
    out, err = process.communicate("".join(lines), timeout=120)
    assert process.returncode == 0, err
    document = json.loads(out)
    assert document["facts"]["n_events"] == 100
    assert document["facts"]["n_bad_lines"] == 1
    assert "line 31: no JSON" in err
    assert "50 events, " in err
    assert "100 events, " in err
    assert "Traceback" not in err
    assert document["metrics"]["new_users/n_users"] == 9
    assert document["metrics"]["answered/fallback"] == 9  # each of the new users once
    assert replays.status(document["run_id"]) == "FINISHED"


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_source_that_is_stopped_closes_the_run_in_order(
    replays: Replays, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(
        *("algo=popularity", "policy=incremental", "source=-", "log_every=20", *SMALL), cwd=tmp_path
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.writelines(told(n, 1, LATER + n) for n in range(20))
    process.stdin.flush()
    for line in process.stderr:
        if "20 events" in line:
            break
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "20 tests" in out
    assert "stopped" in err
    assert replays.status(out.split()[-1]) == "FINISHED"


def test_an_empty_source_is_one_line_and_code_2(tmp_path: Path) -> None:
    process = start(
        "algo=popularity", "policy=static", "source=-", "-q", *SMALL, "tracking=none", cwd=tmp_path
    )
    out, err = process.communicate("", timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("recexp: nothing was tested")
    assert err.count("\n") == 1


KAFKA = importlib.util.find_spec("confluent_kafka") is None
needs_kafka = pytest.mark.skipif(KAFKA, reason="the extra kafka is not installed")


@pytest.fixture
def broker() -> Any:
    """A Kafka broker inside this process: librdkafka's own mock cluster."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    (one,) = producer.list_topics(timeout=10).brokers.values()
    return producer, f"{one.host}:{one.port}"


@needs_kafka
def test_a_topic_is_replayed_until_it_is_idle_or_enough(replays: Replays, broker: Any) -> None:
    producer, address = broker
    for n in range(40):
        producer.produce("clicks", told(n % 4, n // 4 + 1, LATER + n).encode())
    producer.produce("clicks", b"broken")
    producer.flush(10)
    source = f"source=kafka://{address}/clicks"
    common = ("algo=popularity", "policy=incremental", *SMALL, source)
    found = replay(*common, "idle_seconds=1")
    assert found.outcome.facts["n_events"] == 40
    assert found.outcome.facts["n_bad_lines"] == 1
    assert len(found.outcome.tests) == 40
    first = replay(*common, "max_events=10")
    assert first.outcome.facts["n_events"] == 10


@needs_kafka
def test_a_topic_or_broker_that_is_not_there_is_told(replays: Replays, broker: Any) -> None:
    producer, address = broker
    producer.produce("clicks", b"{}")
    producer.flush(10)
    common = ("algo=popularity", "policy=static", *SMALL)
    with pytest.raises(recexp.errors.StorageError, match=r"no topic 'clik' at .* it has: clicks"):
        replay(*common, f"source=kafka://{address}/clik")
