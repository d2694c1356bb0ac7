"""Accounts, roles, one-time addresses and API tokens."""

from typing import cast, get_args

from spanwise.annotate.manage import groups_of, set_groups
from spanwise.annotate.people import (
    ROLES,
    Scope,
    create_token,
    create_user,
    disable,
    get_user,
    list_tokens,
    list_users,
    one_time_login,
    revoke_token,
    set_role,
)
from spanwise.annotate.web.bodies import RequestError
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect

SCOPES: tuple[Scope, ...] = get_args(Scope)


def show_people(call: Call, **fresh: str) -> Page:
    """All accounts; `fresh` is a one-time address that was just made, shown this once."""
    shown = {"address": "", "address_for": ""} | fresh
    people, groups = list_users(call.database), groups_of(call.database)
    return Page("people.html", {"people": people, "roles": ROLES, "groups": groups} | shown)


def add_person(call: Call) -> Page:
    """Makes an account, and a one-time address to hand over."""
    name = call.field("name")
    user = create_user(call.database, name, role=call.field("role", "annotator"), by=call.who)
    return _with_link(call, user.name)


def new_link(call: Call) -> Page:
    """Makes another one-time address for an account."""
    return _with_link(call, call.field("name"))


def _with_link(call: Call, name: str) -> Page:
    secret = one_time_login(call.database, get_user(call.database, name))
    base = str(call.request.base_url).rstrip("/")
    return show_people(call, address=f"{base}/login/once?key={secret}", address_for=name)


def change_role(call: Call) -> Redirect:
    """Gives an account another role."""
    set_role(call.database, call.field("name"), call.field("role"), by=call.who)
    return Redirect("/people")


def change_groups(call: Call) -> Redirect:
    """Puts an account into groups, and out of all others."""
    set_groups(call.database, call.project, call.field("name"), call.field("groups").split(), by=call.who)
    return Redirect("/people")


def change_state(call: Call) -> Redirect:
    """Shuts an account or opens it again."""
    disable(call.database, call.field("name"), disabled=call.field("disabled") == "yes", by=call.who)
    return Redirect("/people")


def show_tokens(call: Call, **fresh: str) -> Page:
    """The user's own API tokens."""
    shown = {"secret": ""} | fresh
    return Page("tokens.html", {"tokens": list_tokens(call.database, call.who), "scopes": SCOPES} | shown)


def add_token(call: Call) -> Page:
    """Makes a token and shows its secret this once."""
    chosen = call.form.getlist("scopes") if call.form is not None else []
    scopes = cast("tuple[Scope, ...]", tuple(scope for scope in SCOPES if scope in chosen))
    made = create_token(call.database, call.who, name=call.field("name"), scopes=scopes, days=_days(call))
    return show_tokens(call, secret=made.secret)


def _days(call: Call) -> int | None:
    """How long the token shall live; None where the field is empty. What is no number is refused, not forgotten."""
    days = call.field("days").strip()
    if not days:
        return None
    if not (days.isascii() and days.isdigit() and len(days) < 10):
        raise RequestError(400, f"{days!r:.40} is no number of days; write a number such as 30.")
    return int(days)


def drop_token(call: Call) -> Redirect:
    """Ends a token."""
    revoke_token(call.database, call.field("id"), by=call.who)
    return Redirect("/tokens")


ENDPOINTS = (
    Endpoint("GET", "/people", show_people, "admin"),
    Endpoint("POST", "/people", add_person, "admin"),
    Endpoint("POST", "/people/link", new_link, "admin"),
    Endpoint("POST", "/people/role", change_role, "admin"),
    Endpoint("POST", "/people/groups", change_groups, "admin"),
    Endpoint("POST", "/people/state", change_state, "admin"),
    Endpoint("GET", "/tokens", show_tokens, "user"),
    Endpoint("POST", "/tokens", add_token, "user"),
    Endpoint("POST", "/tokens/revoke", drop_token, "user"),
)
