"""Receipts that targets exported, checked on the connected side."""

from sealift_bundler.trails.fleet import Fleet, HostReport, Question, examine

__all__ = ["Fleet", "HostReport", "Question", "examine"]
