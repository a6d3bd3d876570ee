"""What Prometheus reads: requests, waiting times, batches, and how many passes the shared trunk spared."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tunebench.serve.answering import ComputedBatch

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one server; their labels are routes, status codes and names of served runs only."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("tunebench_requests", "Requests.", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "tunebench_predict_seconds", "From request to answer.", ["model"], buckets=_SECONDS, registry=registry
        )
        self._texts = Counter("tunebench_texts", "Answered texts.", ["model"], registry=registry)
        self._batch_rows = Histogram("tunebench_batch_rows", "Rows of a batch.", buckets=_ROWS, registry=registry)
        self._batch_runs = Histogram("tunebench_batch_runs", "Runs in a batch.", buckets=_ROWS, registry=registry)
        self._batch_seconds = Histogram(
            "tunebench_batch_seconds", "Computing a batch.", buckets=_SECONDS, registry=registry
        )
        self._waiting = Gauge("tunebench_waiting_rows", "Rows that waited after the last batch.", registry=registry)
        self._shared = Counter(
            "tunebench_trunk_rows", "Rows that were answered above a shared trunk.", registry=registry
        )
        self._passed = Counter("tunebench_trunk_passes", "Different texts that passed it for them.", registry=registry)

    def request(self, route: str, status: int) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()

    def predicted(self, model: str, texts: int, seconds: float) -> None:
        """Texts were answered."""
        self._seconds.labels(model).observe(seconds)
        self._texts.labels(model).inc(texts)

    def batch(self, batch: ComputedBatch) -> None:
        """A batch was computed."""
        self._batch_rows.observe(batch.rows)
        self._batch_runs.observe(batch.runs)
        self._batch_seconds.observe(batch.seconds)
        self._waiting.set(batch.waiting)
        if batch.texts:
            self._shared.inc(batch.rows)
            self._passed.inc(batch.texts)

    def forget(self, model: str) -> None:
        """A run is served no more."""
        self._seconds.remove_by_labels({"model": model})
        self._texts.remove_by_labels({"model": model})

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)
