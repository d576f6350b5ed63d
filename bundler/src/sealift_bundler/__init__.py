"""The connected side: resolve, fetch, inspect, write, sign, seal."""

__version__ = "0.1.0"
