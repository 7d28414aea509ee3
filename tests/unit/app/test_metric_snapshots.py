"""One page for all workers: ended workers are counted indefinitely and measured no more."""

import pytest

from mcpward.app.metric_snapshots import MetricSnapshots, clear
from mcpward.core.values import Kind
from mcpward.traffic.metrics import Metrics
from mcpward.traffic.record import Result
from support.records import a_record

REFUSED = 'mcpward_refusals_total{mcpward_server="orders",reason="busy"}'
OPERATIONS = "mcp_server_operation_duration_seconds_count"
IN_FLIGHT = "mcpward_calls_in_flight"


def metrics(calls=1, in_flight=2):
    made = Metrics()
    served = a_record(kind=Kind.TOOL, method="tools/call", tool="query_orders", is_listed=True)
    busy = a_record(Result.REFUSED, "busy", status=503)
    made.observe([*([served] * calls), busy])
    made.gauges[IN_FLIGHT] = lambda: in_flight
    return made


def sample(numbers, name):
    found = [line for line in numbers.page().decode().splitlines() if line.startswith(name)]
    assert len(found) <= 1
    return float(found[0].rpartition(" ")[2]) if found else None


@pytest.fixture
def folder(tmp_path):
    clear(tmp_path / "metrics")
    return tmp_path / "metrics"


class Workers:
    """Each holds a lock of its own, as processes do."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def start(self, made=None):
        self.running.append(MetricSnapshots(made or metrics(), self.folder))
        return self.running[-1]

    def end(self, numbers):
        self.running.remove(numbers)
        numbers.close()


@pytest.fixture
def workers(folder):
    workers = Workers(folder)
    yield workers
    for numbers in list(workers.running):
        workers.end(numbers)


def test_what_runs_in_all_workers_is_added_up_whoever_is_asked(workers):
    first, second = workers.start(metrics(in_flight=2)), workers.start(metrics(in_flight=5))
    for numbers in (first, second):
        assert sample(numbers, IN_FLIGHT) == 7
        assert sample(numbers, OPERATIONS) == 2
        assert sample(numbers, REFUSED) == 2


def test_a_worker_that_has_ended_counts_on_and_nothing_of_it_is_in_flight(workers):
    first, second = workers.start(metrics(in_flight=2)), workers.start(metrics(calls=3, in_flight=5))
    workers.end(second)
    assert sample(first, IN_FLIGHT) == 2
    assert sample(first, OPERATIONS) == 4
    assert sample(first, REFUSED) == 2


def test_its_last_numbers_are_left_at_the_end(workers):
    first, second = workers.start(), workers.start(Metrics())
    second._metrics.failed_writes = 3
    workers.end(second)
    assert sample(first, "mcpward_traffic_write_failures_total") == 3


def test_many_that_have_ended_are_one_file_and_no_count_goes_down(workers, folder):
    last = workers.start()
    for so_far in range(2, 100):
        workers.end(last)
        last = workers.start()
        assert sample(last, OPERATIONS) == so_far
        assert sample(last, IN_FLIGHT) == 2
    assert len(list(folder.glob("*.json"))) == 1
    assert len(list(folder.iterdir())) == 3
    assert (folder / "ended.sum").stat().st_size < 8192


def test_a_worker_whose_files_are_still_there_after_it_was_added_up_counts_once(workers, folder):
    first, second = workers.start(), workers.start()
    left = {path: path.read_bytes() for path in folder.glob(f"{second._name}.*")}
    workers.end(second)
    third = workers.start()
    for path, content in left.items():  # killed between the sum and the removal
        path.write_bytes(content)
    assert [sample(numbers, OPERATIONS) for numbers in (first, third)] == [3, 3]
    assert sample(workers.start(), OPERATIONS) == 4


def test_a_torn_snapshot_counts_nothing(workers, folder):
    first = workers.start()
    (folder / "1-torn.json").write_text('{"durations": [')
    assert sample(first, OPERATIONS) == 1


def test_a_new_run_begins_at_nothing(workers, folder):
    workers.end(workers.start())
    workers.end(workers.start())
    clear(folder)
    assert sample(workers.start(), OPERATIONS) == 1


def test_one_worker_alone_leaves_no_file(tmp_path):
    numbers = MetricSnapshots(metrics(), None)
    assert sample(numbers, OPERATIONS) == 1
    numbers.close()
    assert list(tmp_path.iterdir()) == []
