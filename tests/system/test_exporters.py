"""Exporters, both ways: a real Prometheus scrapes a real sysmon, and a real sysmon reads a real node_exporter."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from remote.foreign.exposition import parse
from tests.system.programs import Program, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

# Prometheus is a large package, so CI may lack it as well; tests/remote read the same page strictly everywhere.
prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="not installed: prometheus")
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="not installed: promtool")

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: sysmon
    scheme: https
    authorization: {{credentials_file: {token}}}
    tls_config: {{ca_file: {certificate}, server_name: {name}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def read(url: str, trusted: ssl.SSLContext | None = None, **headers: str) -> bytes:
    """The body of an answer."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:
        data: bytes = answer.read()
        return data


@pytest.fixture
def exporter() -> Iterator[str]:
    """A running node_exporter; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            return bool(read(f"http://127.0.0.1:{port}/"))
        except OSError:
            return False

    try:
        wait_for(answers)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Program]:
    """A running agent that is reached from anywhere, so over TLS and with a token; `port` is where."""
    program = Program(tmp_path / "agent", "--agent", "--listen", "0.0.0.0", "--port", "0")
    command = [sys.executable, "-m", "sysmon", "token", "new", "prometheus", "--file", str(tmp_path / "token")]
    subprocess.run(command, env=program.environment, capture_output=True, check=True, timeout=30)
    program.port = program.start()
    yield program
    program.stop(signal.SIGKILL)


@prometheus
@promtool
def test_prometheus_scrapes_an_agent_over_tls(agent: Program, tmp_path: Path) -> None:
    (certificate,) = agent.folder.rglob("tls-cert.pem")
    token = tmp_path / "token"
    (tmp_path / "p.yml").write_text(
        CONFIG.format(port=agent.port, token=token, certificate=certificate, name=socket.gethostname())
    )
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path / 'p.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )

    def query(expression: str) -> list[dict[str, Any]]:
        text = urllib.parse.urlencode({"query": expression})
        try:
            answer = json.loads(read(f"{address}/api/v1/query?{text}"))
        except OSError:
            return []
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(expression: str) -> float:
        (found,) = query(expression)
        return float(found["value"][1])

    try:
        wait_for(lambda: query("rate(node_context_switches_total[10s])"), 30)
        targets = json.loads(read(f"{address}/api/v1/targets"))["data"]["activeTargets"]
        assert [(each["health"], each["lastError"]) for each in targets] == [("up", "")]
        # What the stock dashboard for node_exporter asks for.
        assert 0 <= value("1 - avg(rate(node_cpu_seconds_total{mode='idle'}[10s]))") <= 1
        assert value("sum(rate(node_cpu_seconds_total[10s])) / count(count(node_cpu_seconds_total) by (cpu))") < 1.3
        assert 0 < value("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes") < 1
        assert query("rate(node_network_receive_bytes_total{device='lo'}[10s])")
        assert value("time() - node_boot_time_seconds") > 0
        assert value("node_load1") >= 0
        assert query("node_uname_info{nodename!='',release!=''}")
        assert value("sysmon_host_up") == 1
        # Prometheus asks for OpenMetrics, where a counter is one by its type.
        metadata = json.loads(read(f"{address}/api/v1/metadata?metric=node_network_receive_bytes"))["data"]
        assert [each["type"] for each in metadata["node_network_receive_bytes"]] == ["counter"]
    finally:
        server.terminate()
        server.wait(10)
    trusted = ssl.create_default_context(cafile=str(certificate))
    trusted.check_hostname = False
    bearer = {"Authorization": f"Bearer {token.read_text().strip()}"}
    page = read(f"https://127.0.0.1:{agent.port}/metrics", trusted, **bearer)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        read(f"https://127.0.0.1:{agent.port}/metrics", trusted)
    linted = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    for line in linted.stderr.decode().splitlines():
        # The linter dislikes names that node_exporter took from the kernel; nothing else may be said.
        assert line.startswith(("node_memory_", "node_netstat_")), line
        assert line.endswith("metric names should be written in 'snake_case' not 'camelCase'"), line


@pytest.mark.needs("prometheus-node-exporter")
def test_once_shows_what_an_exporter_tells(exporter: str, tmp_path: Path) -> None:
    program = Program(tmp_path / "screen", "--once", "--json", f"node+http://{exporter}")
    began = time.monotonic()
    out = subprocess.run(
        [sys.executable, "-m", "sysmon", *program.arguments],
        env=program.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert time.monotonic() - began < 12, "it waited for processes that no exporter tells of"
    answer = json.loads(out)
    assert answer["derived"]["memory.utilization"] > 0
    assert 0 <= answer["derived"]["cpu.utilization"] <= 1
    assert answer["readings"]["cpu.cores"] >= 1


@pytest.mark.needs("prometheus-node-exporter")
def test_a_hub_records_an_exporter_and_serves_it_on(exporter: str, tmp_path: Path) -> None:
    config = f'[hosts.box]\ntarget = "node+http://{exporter}"\n'
    hub = Program(tmp_path / "hub", "--record", "--port", "0", config=config)
    port = hub.start()
    try:

        def recorded() -> list[dict[str, Any]]:
            hosts = json.loads(read(f"http://127.0.0.1:{port}/v1/hosts"))["hosts"]
            box = [info["id"] for info in hosts if info.get("name") == "box"]
            spans = json.loads(read(f"http://127.0.0.1:{port}/v1/spans"))
            return [each for each in spans if each["host"] in box and each["last"] >= 3]

        (span,) = wait_for(recorded)
        box = span["host"]
        assert span["first"] == 1

        def shown() -> Any:
            page = parse(read(f"http://127.0.0.1:{port}/metrics"), grouped=True)
            hosts = {each.labels["host_id"] for each in page.samples if each.name == "node_load1"}
            # The hub's own host comes some seconds later, once it is known that no configured host is this machine.
            return page if len(hosts) == 2 else None

        page = wait_for(shown)
        up = {each.labels["host_id"]: each.value for each in page.samples if each.name == "sysmon_host_up"}
        assert up[box] == 1
        assert len(up) == 2
    finally:
        hub.stop()
