"""What is not safe yet is kept, and published again by the next life."""

from __future__ import annotations

import threading

from stockwatch.outbox import Entry, Outbox


def kept(outbox: Outbox, *values: bytes) -> list[Entry]:
    return outbox.add(("t", b"k", value) for value in values)


def values(outbox: Outbox) -> list[bytes]:
    return [entry.value for entry in outbox.take_over()]


def test_a_broker_that_keeps_its_log_makes_a_message_safe_by_acknowledging_it() -> None:
    outbox = Outbox(keeps_log=True)
    first, second = kept(outbox, b"1", b"2")
    outbox.acknowledged(first, 0, 0)
    assert len(outbox) == 1
    assert values(outbox) == [b"2"]
    outbox.acknowledged(second, 0, 1)
    assert len(outbox) == 0


def test_a_broker_in_memory_makes_it_safe_only_when_it_is_stored() -> None:
    outbox = Outbox(keeps_log=False, tail_bytes=0)
    entries = kept(outbox, b"\0", b"\1", b"\2", b"\3")
    for offset, entry in enumerate(entries[:3]):
        outbox.acknowledged(entry, 0, offset)
    outbox.stored("t", 0, 1)
    assert len(outbox) == 2
    outbox.stored("t", 1, 99)  # another partition's receipt says nothing of this one
    outbox.stored("other", 0, 99)
    assert values(outbox) == [b"\x02", b"\x03"]


def test_after_a_take_over_old_offsets_mean_nothing() -> None:
    outbox = Outbox(keeps_log=False)
    [entry] = kept(outbox, b"1")
    outbox.acknowledged(entry, 0, 500)
    assert len(outbox.take_over()) == 1
    outbox.stored("t", 0, 500)  # of the broker that is gone
    assert len(outbox) == 1
    outbox.acknowledged(entry, 0, 0)
    outbox.stored("t", 0, 0)
    assert len(outbox) == 0


def test_a_full_outbox_makes_the_producer_wait_until_there_is_room() -> None:
    outbox = Outbox(keeps_log=True, limit_bytes=1_000)
    [entry] = kept(outbox, b"x" * 2_000)
    assert not outbox.wait_for_room(0)
    threading.Timer(0.05, outbox.acknowledged, [entry, 0, 0]).start()
    assert outbox.wait_for_room(10)


def test_acknowledging_twice_counts_once() -> None:
    outbox = Outbox(keeps_log=True, limit_bytes=1_000)
    [entry] = kept(outbox, b"x" * 2_000)
    outbox.acknowledged(entry, 0, 0)
    outbox.acknowledged(entry, 0, 0)
    kept(outbox, b"x" * 2_000)
    assert not outbox.wait_for_room(0)


def test_the_newest_of_what_is_stored_is_published_again_for_those_who_read_beside_the_consumer() -> None:
    outbox = Outbox(keeps_log=False, tail_bytes=2 * 210)
    entries = kept(outbox, *(bytes([number]) * 5 for number in range(5)))
    for offset, entry in enumerate(entries):
        outbox.acknowledged(entry, 0, offset)
    outbox.stored("t", 0, 3)
    assert len(outbox) == 1  # what is stored is safe
    assert [value[0] for value in values(outbox)] == [2, 3, 4]
    assert len(outbox) == 3  # and until the new life has it stored, it is not


def test_what_is_published_again_is_counted_once() -> None:
    outbox = Outbox(keeps_log=False, limit_bytes=1_000, tail_bytes=10_000)
    [entry] = kept(outbox, b"x" * 2_000)
    for _life in range(3):
        outbox.acknowledged(entry, 0, 0)
        outbox.stored("t", 0, 0)
        assert outbox.wait_for_room(0)
        assert outbox.take_over() == [entry]
        assert not outbox.wait_for_room(0)
