"""What a program tells of its client and its agent: figures for Prometheus, spans for opentelemetry.

Each needs its extra, `osapi[metrics]` or `osapi[tracing]`, and neither is imported by the library.
"""

# The layout:
#
#   metrics.py       the figures, read from client and agent when somebody asks
#   app.py           /metrics and /health as an ASGI app
#   requests.py      what is known of a request while it is answered, as of an attempt in osapi.observing
#   spans.py         a span for each request and each attempt; it imports opentelemetry, as the next one does and the
#                    others do not
#   exporting.py     where spans go; it needs opentelemetry's SDK
#   connections.py   a server that no connection can end; it imports hypercorn, the others do not

from __future__ import annotations

from osapi_telemetry.app import metrics_app
from osapi_telemetry.metrics import CONTENT_TYPE, Metrics
from osapi_telemetry.requests import Request, RequestObserver

__all__ = ["CONTENT_TYPE", "Metrics", "Request", "RequestObserver", "metrics_app"]
