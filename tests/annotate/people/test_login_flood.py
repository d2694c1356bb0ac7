"""Many logins at once: no more guesses than one after the other, little memory, and everybody else is served."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import func, select

from spanwise.annotate.people import logins
from spanwise.annotate.people.logins import FREE_TRIES, log_in, set_password
from spanwise.annotate.store import tables
from spanwise.annotate.store.refusals import LoginError

WORD = "correct horse battery"


class SlowHasher:
    """Says no to everything, and notes how many were asked and how many at a time."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.asked, self.now, self.most = [], 0, 0
        self.gate, self.lock = gate, threading.Lock()

    def verify(self, hashed: str, password: str) -> bool:
        with self.lock:
            self.asked.append(hashed)
            self.now += 1
            self.most = max(self.most, self.now)
        if self.gate is not None:
            assert self.gate.wait(60)
        with self.lock:
            self.now -= 1
        raise VerifyMismatchError


def _said(world, name: str, word: str = "wrong password", address: str = "1.2.3.4") -> str:
    try:
        log_in(world.database, name, word, address=address)
    except LoginError as error:
        return "wait" if error.retry_after else "wrong"
    return "in"


@pytest.fixture
def ann(world):
    user = world.user("ann")
    set_password(world.database, "ann", WORD)
    return user


def test_guesses_at_once_are_no_more_than_guesses_in_turn(world, ann, monkeypatch):
    hasher = SlowHasher()
    monkeypatch.setattr(logins, "_hasher", hasher)
    with ThreadPoolExecutor(40) as pool:
        said = Counter(pool.map(lambda n: _said(world, "ann", address=f"address {n}"), range(200)))
    assert said["wrong"] == len(hasher.asked)
    assert said["in"] == 0
    assert len(hasher.asked) <= FREE_TRIES + 1  # two are looked at together
    assert hasher.most <= 2


def test_a_flood_of_logins_holds_few_threads_and_ends(world, ann, monkeypatch):
    gate = threading.Event()
    hasher = SlowHasher(gate)
    monkeypatch.setattr(logins, "_hasher", hasher)
    monkeypatch.setattr(logins, "_TURN_SECONDS", 60)
    turned_away = threading.Semaphore(0)

    def come(number: int) -> str:
        said = _said(world, f"name {number}", address=f"address {number}")
        if said == "wait":
            turned_away.release()
        return said

    with ThreadPoolExecutor(40) as pool:
        coming = [pool.submit(come, number) for number in range(40)]
        for _ in range(40 - 16):  # these are told at once, while not one password has been looked through
            assert turned_away.acquire(timeout=60)
        assert hasher.most <= 2
        gate.set()
        said = Counter(one.result() for one in coming)
    assert said == {"wait": 24, "wrong": 16}
    monkeypatch.undo()
    assert _said(world, "ann", WORD, "another") == "in"


def test_who_waits_too_long_for_others_passwords_is_told_to_come_again(world, ann, monkeypatch):
    gate = threading.Event()
    hasher = SlowHasher(gate)
    monkeypatch.setattr(logins, "_hasher", hasher)
    monkeypatch.setattr(logins, "_TURN_SECONDS", 0.05)
    with ThreadPoolExecutor(3) as pool:
        first = [pool.submit(_said, world, f"name {number}") for number in range(2)]
        while hasher.now < 2:
            threading.Event().wait(0.01)
        assert pool.submit(_said, world, "third").result(60) == "wait"
        gate.set()
        assert [one.result(60) for one in first] == ["wrong", "wrong"]


def test_who_waits_for_others_passwords_keeps_time_for_the_own_one(world, ann, monkeypatch):
    gate = threading.Event()
    hasher = SlowHasher(gate)
    monkeypatch.setattr(logins, "_hasher", hasher)
    monkeypatch.setattr(logins, "_TURN_SECONDS", 60)
    monkeypatch.setattr(logins, "_pace", [60.0])  # the machine is so busy that a password takes a minute
    with ThreadPoolExecutor(3) as pool:
        first = [pool.submit(_said, world, f"name {number}") for number in range(2)]
        while hasher.now < 2:
            threading.Event().wait(0.01)
        assert pool.submit(_said, world, "third").result(30) == "wait"
        gate.set()
        assert [one.result(60) for one in first] == ["wrong", "wrong"]
    assert logins._pace[0] < 60  # it is measured anew


def test_logging_in_waits_for_the_database_for_a_moment_only(world, ann, monkeypatch):
    write, waits = world.database.write, []

    def noted(lock: str = "", *, patience: float | None = None):
        waits.append(patience)
        return write(lock, patience=patience)

    secret = logins.one_time_login(world.database, ann)
    monkeypatch.setattr(world.database, "write", noted)
    assert _said(world, "ann", "wrong password") == "wrong"
    assert _said(world, "ann", WORD) == "in"
    logins.redeem_login(world.database, secret)
    assert len(waits) == 3
    assert max(patience if patience is not None else world.database.patience for patience in waits) < 1


def test_an_unknown_name_costs_as_much_work_as_a_known_one(world, ann, monkeypatch):
    hasher = SlowHasher()
    monkeypatch.setattr(logins, "_hasher", hasher)
    assert [_said(world, name) for name in ("ann", "nobody")] == ["wrong", "wrong"]
    parameters = [hashed.rsplit("$", 2)[0] for hashed in hasher.asked]
    assert len(parameters) == 2
    assert parameters[0] == parameters[1]
    assert "argon2id" in parameters[0]


def test_tries_are_forgotten_after_a_day_and_addresses_are_stored_as_hashes(world, ann):
    _said(world, "ann", address="192.0.2.77")
    world.clock.advance(days=2)
    _said(world, "bob", address="192.0.2.78")
    with world.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.login_attempt)).scalar_one() == 1
        assert "192.0.2" not in str(connection.execute(select(tables.login_attempt)).all())
