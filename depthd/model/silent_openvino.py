"""OpenVINO without its telemetry. The only module that imports `openvino`.

`import openvino` alone starts a process that reports to an analytics server and keeps a client
id in ~/intel. A service that needs no network must not try; OpenVINO runs without the package
that does it.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # "not installed"

import openvino  # noqa: E402 - after the line above
from openvino import opset13 as ops  # noqa: E402

__all__ = ["openvino", "ops"]
