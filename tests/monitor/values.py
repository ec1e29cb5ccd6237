"""The fixed values that statistics are held to."""

from __future__ import annotations

import numpy as np

BASE = np.arange(1000) / 1000
NOW = BASE**2
CLASSES = ["a"] * 500 + ["b"] * 300 + ["c"] * 200
OTHER_CLASSES = ["a"] * 400 + ["b"] * 300 + ["c"] * 200 + ["d"] * 100
