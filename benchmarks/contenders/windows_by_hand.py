"""Sliding windows written by hand: a ring of buckets for each key, and running totals."""

from __future__ import annotations

from typing import Any

import windows_work as work
from protocol import Run, serve

SECONDS, HOUR, SIX_HOURS = 600, 6, 36  # a bucket, and how many there are in the windows


class Rings:
    def __init__(self) -> None:
        self._keys: dict[Any, list[Any]] = {}

    def add(self, body: work.Record) -> work.Record:
        key, amount = body["card"], body["amount"]
        bucket = int(body["time"] // SECONDS)
        ring = self._keys.get(key)
        if ring is None:
            ring = self._keys[key] = [bucket, [0] * SIX_HOURS, [0] * SIX_HOURS, 0, 0, 0, 0]
        newest, counts, sums, count1, sum1, count6, sum6 = ring
        for number in range(newest + 1, bucket + 1):
            place = number % SIX_HOURS
            count6 -= counts[place]
            sum6 -= sums[place]
            counts[place] = sums[place] = 0
            leaving = (number - HOUR) % SIX_HOURS
            count1 -= counts[leaving]
            sum1 -= sums[leaving]
        place = bucket % SIX_HOURS
        counts[place] += 1
        sums[place] += amount
        count1 += 1
        sum1 += amount
        count6 += 1
        sum6 += amount
        ring[0], ring[3], ring[4], ring[5], ring[6] = bucket, count1, sum1, count6, sum6
        return {
            **body,
            "amount_sum_1h": sum1,
            "amount_sum_6h": sum6,
            "amount_avg_1h": sum1 / count1,
            "amount_avg_6h": sum6 / count6,
        }


def windows() -> Run:
    readings = work.readings(100_000)

    def run(events: int) -> Any:
        rings = Rings()
        return work.summary([rings.add(reading) for reading in readings[:events]])

    return run


serve({"windows": windows})
