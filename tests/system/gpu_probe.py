"""Prints what the GPU collector reads here, as JSON: `python tests/system/gpu_probe.py [READS]`.

For a machine with a GPU; it needs no test runner. The last line tells what a read costs.
"""

import json
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from collectors.base import Roots
from collectors.gpu import GpuCollector
from sysmon.errors import CollectorError


def main(reads: int) -> int:
    collector = GpuCollector(Roots())
    costs = []
    try:
        for _ in range(reads):
            began = time.perf_counter()
            reading = collector.read()
            costs.append(time.perf_counter() - began)
    except CollectorError as error:
        print(json.dumps({"fault": error.kind, "message": error.message}))
        return 1
    finally:
        collector.close()
    shown = {"values": reading.values, "gpus": reading.tables.gpus, "faults": reading.faults}
    print(json.dumps(msgspec.to_builtins(shown), indent=2))
    typical = sorted(costs)[len(costs) // 2]
    print(json.dumps({"first_read_ms": round(costs[0] * 1e3, 2), "typical_read_ms": round(typical * 1e3, 3)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
