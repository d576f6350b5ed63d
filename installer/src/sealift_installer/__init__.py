"""The trusted side: authenticate, extract, relocate, record. It never touches the network."""

__version__ = "0.1.0"
