"""Metrics as Prometheus reads them, by its official client: text, or OpenMetrics for who asks for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from ctpolicy.language.diagnostics import harmless
from ctpolicy.metrics.metric import Kind, Metric

_FAMILIES: Final = {Kind.COUNTER: CounterMetricFamily, Kind.GAUGE: GaugeMetricFamily}


class MetricsCollector(Collector):
    """A collector of the client's, for metrics that are made when they are asked for.

    Args:
        gather: makes them.
    """

    def __init__(self, gather: Callable[[], Iterable[Metric]]) -> None:
        self._gather = gather

    def collect(self) -> Iterator[Family]:
        """Each metric as the client has it."""
        return map(_family, self._gather())

    def describe(self) -> Iterator[Family]:
        """Nothing: the registry would gather everything once, only to know the names."""
        return iter(())


def _family(metric: Metric) -> Family:
    family: CounterMetricFamily | GaugeMetricFamily = _FAMILIES[metric.kind](
        metric.name, metric.help, labels=metric.labels
    )
    for sample in metric.samples:
        # What comes from a host is text on a terminal too, where people look at this first.
        family.add_metric([harmless(value) for value in sample.labels], sample.value)
    return family


def text(metrics: Iterable[Metric]) -> bytes:
    """The text format, version 0.0.4: what node_exporter reads from files, and every Prometheus."""
    return bytes(generate_latest(_registry(metrics)))


def negotiated(metrics: Iterable[Metric], accepted: str) -> tuple[bytes, str]:
    """What an HTTP client is sent, and of what type that is.

    Args:
        metrics: to be sent.
        accepted: the client's Accept header.
    """
    encode, content_type = choose_encoder(accepted)
    return bytes(encode(_registry(metrics))), content_type


def _registry(metrics: Iterable[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(lambda: metrics))
    return registry
