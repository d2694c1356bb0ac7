"""People, passwords, sessions, one-time addresses, tokens."""

from itertools import pairwise

import pytest
from sqlalchemy import event, select
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import (
    end_all_sessions,
    end_session,
    find_session,
    log_in,
    new_session,
    one_time_login,
    redeem_login,
    set_password,
)
from spanwise.annotate.people.tokens import create_token, find_token, list_tokens, revoke_token
from spanwise.annotate.people.users import (
    create_user,
    disable,
    get_user,
    list_users,
    local_user,
    may,
    require,
    set_role,
)
from spanwise.annotate.store import tables
from spanwise.annotate.store.refusals import AccessError, LoginError, UnknownError
from spanwise.annotate.web.app import create_app
from spanwise.core.errors import DataError

WORD = "correct horse battery"


@pytest.fixture
def ann(world):
    user = world.user("ann")
    set_password(world.database, "ann", WORD)
    return user


def _enter(world, name="ann", word=WORD, address="1.2.3.4"):
    return log_in(world.database, name, word, address=address)


def test_the_right_password_opens_a_session_and_logout_ends_it(world, ann):
    first, second = _enter(world, "ANN"), _enter(world)
    assert first.token != second.token
    assert find_session(world.database, first.token) == get_user(world.database, "ann")
    end_session(world.database, first.token)
    assert find_session(world.database, first.token) is None
    end_all_sessions(world.database, ann)
    assert find_session(world.database, second.token) is None
    assert find_session(world.database, "\ud83d") is None


def test_sessions_end_when_idle_when_old_and_with_their_user(world, ann):
    session = _enter(world)
    for _ in range(27):
        world.clock.advance(hours=11)
        assert find_session(world.database, session.token)
    world.clock.advance(hours=13)
    assert find_session(world.database, session.token) is None
    session = _enter(world)
    disable(world.database, "ann")
    assert find_session(world.database, session.token) is None
    with pytest.raises(LoginError):
        _enter(world)


def test_a_new_password_ends_sessions(world, ann):
    session = _enter(world)
    set_password(world.database, "ann", "another password")
    assert find_session(world.database, session.token) is None
    with pytest.raises(DataError):
        set_password(world.database, "ann", "short")


def test_unknown_names_and_wrong_passwords_get_the_same_words(world, ann):
    said = set()
    for name, word in (("ann", "wrong password"), ("nobody", WORD), ("boss", "")):
        world.user("boss", "admin")
        with pytest.raises(LoginError) as refused:
            _enter(world, name, word)
        said.add((str(refused.value), refused.value.retry_after))
    assert len(said) == 1


def test_guessing_is_slowed_down_and_the_right_password_works_after_the_wait(world, ann):
    waits = []
    for _ in range(8):
        with pytest.raises(LoginError) as refused:
            _enter(world, word="wrong password")
        waits.append(refused.value.retry_after)
        if refused.value.retry_after:
            world.clock.advance(seconds=refused.value.retry_after)
            with pytest.raises(LoginError):
                _enter(world, word="wrong password")
    assert waits[:5] == [None] * 5
    assert all(later > sooner for sooner, later in pairwise(waits[5:]))
    with pytest.raises(LoginError) as refused:
        _enter(world)
    world.clock.advance(seconds=refused.value.retry_after)
    assert _enter(world).user.name == "ann"


def test_guessing_from_one_address_is_slowed_down_for_all_names(world, ann):
    for number in range(20):
        with pytest.raises(LoginError):
            _enter(world, f"name{number}", "wrong password")
    with pytest.raises(LoginError) as refused:
        _enter(world)
    assert refused.value.retry_after > 0
    assert _enter(world, address="5.6.7.8").user.name == "ann"


def test_one_time_addresses_work_once_and_not_forever(world, ann):
    secret = one_time_login(world.database, ann, minutes=10)
    assert redeem_login(world.database, secret).user.name == "ann"
    for bad in (secret, "nothing", ""):
        with pytest.raises(LoginError):
            redeem_login(world.database, bad)
    late = one_time_login(world.database, ann, minutes=10)
    world.clock.advance(minutes=11)
    with pytest.raises(LoginError):
        redeem_login(world.database, late)


def test_secrets_are_stored_as_hashes_only(world, ann):
    secrets = [_enter(world).token, one_time_login(world.database, ann), WORD]
    secrets.append(create_token(world.database, ann, name="ci", scopes=("read",)).secret)
    with world.database.read() as connection:
        for table in (tables.session, tables.login_key, tables.api_token, tables.user, tables.event):
            stored = str(connection.execute(select(table)).all())
            assert not [secret for secret in secrets if secret in stored]


def test_tokens_have_scopes_an_end_and_can_be_revoked(world, ann):
    made = create_token(world.database, ann, name="ci", scopes=("read", "export"), days=1)
    user, scopes = find_token(world.database, made.secret)
    assert (user.name, scopes) == ("ann", ("read", "export"))
    assert list_tokens(world.database, ann)[0].used_at
    world.clock.advance(days=2)
    assert find_token(world.database, made.secret) is None
    other = create_token(world.database, ann, name="x", scopes=("read",))
    with pytest.raises(AccessError):
        revoke_token(world.database, other.id, by=world.user("bob"))
    revoke_token(world.database, other.id, by=ann)
    assert find_token(world.database, other.secret) is None
    with pytest.raises(DataError):
        create_token(world.database, ann, name="x", scopes=("everything",))


def test_roles(world, ann):
    assert may("admin", "admin")
    assert not may("manager", "admin")
    assert not may("annotator", "view")
    assert not may("nobody", "view")
    with pytest.raises(AccessError):
        require(ann, "export")
    with pytest.raises(DataError):
        set_role(world.database, "ann", "king")


def test_names_are_unique_whatever_their_case_and_printable(world, ann):
    for name in ("ANN", " ann ", "", "x" * 101, "a\0b", "a\nb", "\ud83d"):
        with pytest.raises(DataError):
            create_user(world.database, name)
    assert [user.name for user in list_users(world.database)] == ["ann"]
    with pytest.raises(UnknownError):
        get_user(world.database, "none")


def test_an_administrator_always_remains(world):
    me = local_user(world.database)
    assert local_user(world.database) == me
    with pytest.raises(DataError):
        set_role(world.database, "me", "viewer")
    with pytest.raises(DataError):
        disable(world.database, "me")
    create_user(world.database, "two", role="admin")
    assert set_role(world.database, "me", "viewer").role == "viewer"


@pytest.mark.parametrize("days", [0, -1, 10**6, 10**12])
def test_a_token_lives_as_long_as_somebody_means_it_to(world, days):
    with pytest.raises(DataError, match="1 to 3,650 days"):
        create_token(world.database, world.user(), name="ci", scopes=("read",), days=days)


@pytest.mark.parametrize("days", ["0", "-3", "1e3", "many", "9" * 30, "٣"])  # the last is a digit to Python
def test_a_form_with_an_odd_lifetime_makes_no_token(world, days):
    app = create_app(world.database, world.project)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    http.cookies.set(app.state.site.cookie.name, new_session(world.database, world.user()).token)
    answer = http.post("/tokens", data={"name": "ci", "scopes": ["read"], "days": days})
    assert answer.status_code == 400
    assert list_tokens(world.database, world.user()) == []


def test_reading_writes_nothing_and_what_was_seen_goes_along_with_the_next_write(world):
    session = new_session(world.database, world.user())
    token = create_token(world.database, world.user(), name="ci", scopes=("read",))
    world.clock.advance(minutes=5)
    said: list[str] = []
    event.listen(world.database.engine, "before_cursor_execute", lambda c, cursor, text, *_: said.append(text))
    for _ in range(3):
        assert find_session(world.database, session.token)
        assert find_token(world.database, token.secret)
    assert not [text for text in said if text.startswith(("INSERT", "UPDATE", "DELETE"))]
    world.items(1)
    with world.database.read() as connection:
        assert connection.execute(select(tables.session.c.seen_at)).scalar_one() == world.database.now()
        assert connection.execute(select(tables.api_token.c.used_at)).scalar_one() == world.database.now()
