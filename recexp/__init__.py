"""recexp: recommender-systems experiments that can be trusted, repeated and compared."""

from __future__ import annotations

__version__ = "0.1.0"
