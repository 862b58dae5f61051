"""Benchmarks and fault injection for the running graph."""
