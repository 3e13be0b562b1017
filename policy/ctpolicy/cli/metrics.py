"""`ctpolicy metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ctpolicy.cli.host_metrics import PARTS, HostMetrics
from ctpolicy.cli.options import backend, netns, no_ipset, optional_policies, state
from ctpolicy.cli.output import print_error
from ctpolicy.errors import CtpolicyError, DeadlineError, InputError
from ctpolicy.language.load import load_files
from ctpolicy.metrics.endpoint import Endpoint
from ctpolicy.metrics.exposition import negotiated, text
from ctpolicy.metrics.gathering import SECONDS, Failure, Gathering
from ctpolicy.metrics.server import MetricsServer, serve
from ctpolicy.metrics.textfile import write_textfile
from ctpolicy.namespaces import namespace_path


@click.command("metrics")
@optional_policies
@click.option(
    "--textfile",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them to this file, at once, for node_exporter's textfile collector (NAME.prom).",
)
@click.option(
    "--listen",
    metavar="[ADDRESS:]PORT",
    help="Serve them by HTTP under /metrics, until ended; on 127.0.0.1 if only a port is given.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="Tell what there is after so long.",
)
@netns
@backend
@no_ipset
@state
def command(
    policies: tuple[Path, ...],
    textfile: Path | None,
    listen: str | None,
    timeout: float,
    netns: str | None,
    backend: str | None,
    no_ipset: bool,
    state: Path | None,
) -> None:
    """Tell Prometheus of the bypass and of the conntrack table.

    What each entry has counted, whether the bypass is in force and has drifted, changes that nobody has confirmed, how
    full the conntrack table is, and what was dropped. What cannot be told is a metric too, ctpolicy_scrape_error, with
    the reason on standard error; the rest is told all the same. Without a policy, drift is from what was confirmed.

    \b
      sudo ctpolicy metrics
      sudo ctpolicy metrics --textfile /var/lib/prometheus/node-exporter/ctpolicy.prom
      sudo ctpolicy metrics --listen 9101 policy.yaml
    """
    if textfile and listen:
        raise InputError("Either --textfile or --listen.")
    if netns is not None:
        namespace_path(netns)
    gathering = Gathering(HostMetrics(policies, netns, backend, not no_ipset, state).sources(), PARTS, timeout)
    if listen:
        _serve(gathering, Endpoint.parse(listen), policies)
        return
    gathered = gathering.gather()
    content = text(gathered.metrics)
    if textfile:
        write_textfile(textfile, content)
    else:
        click.echo(content.decode(), nl=False)
    _tell(gathered.failures)
    # A mistake in what was given is one of whoever gave it, also if that is a cron job.
    for failure in gathered.failures:
        if isinstance(failure.error, InputError):
            raise click.exceptions.Exit(failure.error.exit_status)


def _serve(gathering: Gathering, endpoint: Endpoint, policies: Sequence[Path]) -> None:
    if policies:
        load_files(policies)  # so that a mistake is told now, and not to whoever scrapes
    told: list[str] = []

    def answer(accepted: str) -> tuple[bytes, str] | None:
        try:
            gathered = gathering.gather()
        except DeadlineError:
            return None
        _tell(gathered.failures, told)
        return negotiated(gathered.metrics, accepted)

    server = MetricsServer(endpoint, answer, print_error)
    click.echo(f"Serving http://{Endpoint(endpoint.address, server.server_port)}/metrics")
    serve(server)


def _tell(failures: Sequence[Failure], told: list[str] | None = None) -> None:
    """Say what could not be told, but not again what was said last time."""
    lines = [_line(failure) for failure in failures]
    for line in lines:
        if told is None or line not in told:
            print_error(line)
    if told is not None:
        told[:] = lines


def _line(failure: Failure) -> str:
    error = failure.error
    reason = str(error) if isinstance(error, CtpolicyError) else f"this is a bug of ctpolicy: {error!r}"
    return f"{failure.part}: {reason}"
