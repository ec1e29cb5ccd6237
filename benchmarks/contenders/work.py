"""The users' functions and data that all contenders work with; standard library only."""

from __future__ import annotations

import asyncio
import time
from typing import Any

Record = dict[str, Any]


def plus(number: int) -> int:
    return number + 1


def is_even(number: int) -> bool:
    return number % 2 == 0


def both(number: int) -> tuple[int, int]:
    return number, number * 2


def add(total: int, number: int) -> int:
    return total + number


CUSTOMERS = {f"customer {number}": {"country": "PT", "discount": number % 5} for number in range(1000)}


def records(count: int) -> list[Record]:
    """Orders of ten fields."""
    return [
        {
            "id": number,
            "customer": f"customer {number % 1000}",
            "product": f"product {number % 50}",
            "price": 5 + number % 40,
            "quantity": 1 + number % 7,
            "currency": "EUR",
            "channel": "web",
            "device": "phone",
            "note": "",
            "is_gift": False,
        }
        for number in range(count)
    ]


def enrich(order: Record) -> Record:
    return {**order, **CUSTOMERS[order["customer"]]}


def derive(order: Record) -> Record:
    return {**order, "total": order["price"] * order["quantity"] - order["discount"]}


def is_large(order: Record) -> bool:
    return order["total"] > 100


def review(order: Record) -> Record:
    return {**order, "review": True}


def book(order: Record) -> Record:
    return {**order, "review": False}


def summary(orders: list[Record]) -> list[int]:
    """What contenders must agree on."""
    return [len(orders), sum(order["total"] for order in orders), sum(order["review"] for order in orders)]


IN_FLIGHT = 64
IO_SECONDS = 0.002


async def fetch(number: int) -> int:
    """A request to somewhere, of which only the waiting is real."""
    await asyncio.sleep(IO_SECONDS)
    return number


def spin(number: int) -> int:
    """Work that takes 100 microseconds of CPU, whatever the machine."""
    end = time.perf_counter() + 100e-6
    while time.perf_counter() < end:
        pass
    return number + 1
