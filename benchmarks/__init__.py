"""Measurements of osapi against its rivals: run one as `python -m benchmarks.<name>`."""
