"""What managers do on pages: change many items, make gold, answer questions, see how reliable people are."""

import re
from pathlib import Path

import pytest
from doubles.annotation import small, wrong_fact
from starlette.testclient import TestClient

from spanwise.annotate.manage.assignments import assigned_to, groups_of
from spanwise.annotate.manage.listing import list_items
from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import create_user
from spanwise.annotate.store.items import NewItem, add_items, get_item
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app

EVERY = dict.fromkeys(("state", "q", "round", "purpose", "batch", "annotator", "assigned", "asked"), "")
"""The filter that finds all items."""


class Site:
    """A project of three items, whose first one ann has annotated, and browsers of its people."""

    def __init__(self, folder: Path) -> None:
        self.database, self.project = open_project(folder, preset_name="qa-feedback")
        self.app = create_app(self.database, self.project)
        new = [NewItem(small(f"i{n}"), f"i{n}", {}, "normal", 0.0, 2) for n in range(3)]
        with self.database.write() as connection:
            self.ids = add_items(connection, self.project, new, batch_id=None)
        self.boss, self.ann = self.browser("boss", "manager"), self.browser("ann", "annotator")

    def browser(self, name: str, role: str) -> TestClient:
        client = TestClient(self.app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
        token = new_session(self.database, create_user(self.database, name, role=role)).token
        client.cookies.set(self.app.state.site.cookie.name, token, domain="127.0.0.1", path="/")
        return client

    def claim(self) -> dict:
        return self.ann.post("/api/v1/claims", json={}).json()["claim"]

    def submit(self, claim: dict) -> str:
        body = {"spans": [wrong_fact()], "corrections": [{"target": "r1", "text": "Ada was born in Rome."}]}
        body["preferences"] = [{"aspect": "overall", "a": "r1", "b": "r2", "choice": "b", "strength": None}]
        sent = {"round": claim["round"], "lease_token": claim["lease_token"], "active_ms": 1}
        sent |= {"client_submission_id": f"sub-{claim['item_id']}", "body": body}
        answer = self.ann.post(f"/api/v1/items/{claim['item_id']}/submissions", json=sent)
        assert answer.status_code == 200, answer.text
        return answer.json()["annotation_id"]


@pytest.fixture
def site(tmp_path: Path):
    made = Site(tmp_path)
    yield made
    made.database.close()


def test_all_that_a_filter_finds_is_changed_and_taken_back_on_the_page(site) -> None:
    asked = {
        "state": "",
        "q": "i1",
        "round": "",
        "purpose": "",
        "batch": "",
        "annotator": "",
        "assigned": "",
        "asked": "",
    }
    done = site.boss.post("/items/change", data=asked | {"names": "ann", "overlap": "3", "priority": ""})
    assert done.status_code == 200, done.text
    assert assigned_to(site.database, site.ids[1]) == ("ann",)
    assert [row.overlap for row in list_items(site.database, site.project).rows] == [2, 3, 2]
    page = site.boss.get("/items?assigned=ann&state=open").text
    assert "i1</a>" in page
    assert "i2</a>" not in page
    change_id = re.search(r'name="change_id" value="(\w+)"', page)[1]
    assert site.boss.post("/items/undo", data={"change_id": change_id}).status_code == 200
    assert assigned_to(site.database, site.ids[1]) == ()
    assert "taken back" in site.boss.get("/items").text


def test_a_change_without_anything_to_change_is_refused_in_a_sentence(site) -> None:
    answer = site.boss.post("/items/change", data=EVERY)
    assert answer.status_code == 400
    assert "Nothing is to be changed" in answer.text


def test_an_annotation_becomes_the_right_answer_of_a_gold_item(site) -> None:
    annotation = site.submit(site.claim())
    page = f"/items/{site.ids[0]}"
    assert site.boss.post(f"{page}/gold", data={"annotation_id": annotation, "purpose": "gold"}).status_code == 200
    assert get_item(site.database, site.project, site.ids[0]).purpose == "gold"
    assert "i0</a>" in site.boss.get("/items?purpose=gold").text
    assert site.boss.post(f"{page}/ordinary").status_code == 200
    assert get_item(site.database, site.project, site.ids[0]).purpose == "normal"
    assert site.boss.post(f"{page}/gold", data={"annotation_id": "none", "purpose": "gold"}).status_code == 404
    assert site.boss.post(f"{page}/gold", data={"annotation_id": annotation, "purpose": "silver"}).status_code == 400


def test_a_question_is_asked_answered_and_settled(site) -> None:
    item_id = site.claim()["item_id"]
    asked = site.ann.post(f"/api/v1/items/{item_id}/questions", json={"content": "Is <b>Rome</b> right?"}).json()
    assert "1 open" in site.boss.get("/questions").text
    assert "&lt;b&gt;Rome&lt;/b&gt;" in site.boss.get(f"/items/{item_id}").text
    assert site.boss.post(f"/questions/{asked['id']}/reply", data={"content": "Oslo"}).status_code == 200
    assert "Oslo" in site.ann.get("/questions").text
    assert site.ann.get(f"/api/v1/questions?item_id={item_id}").json()["rows"][0]["answers"][0]["by"] == "boss"
    bob = site.browser("bob", "annotator")
    assert "Rome" not in bob.get("/questions?all=yes").text
    assert bob.post(f"/questions/{asked['id']}/reply", data={"content": "?"}).status_code == 404
    assert site.boss.post(f"/questions/{asked['id']}/settle", data={"settled": "yes"}).status_code == 200
    assert "Rome" not in site.boss.get("/questions").text
    assert "Rome" in site.boss.get("/questions?all=yes").text


def test_people_are_put_into_groups_and_items_kept_for_them(site) -> None:
    head = site.browser("head", "admin")
    assert head.post("/people/groups", data={"name": "ann", "groups": "experts late"}).status_code == 200
    assert sorted(*groups_of(site.database).values()) == ["experts", "late"]
    assert site.boss.post(f"/items/{site.ids[2]}/assign", data={"names": "@experts"}).status_code == 200
    assert assigned_to(site.database, site.ids[2]) == ("@experts",)
    assert site.boss.post(f"/items/{site.ids[2]}/assign", data={"names": "@none"}).status_code == 404


def test_the_page_of_quality_opens_with_and_without_figures(site) -> None:
    assert "No item has two annotations yet" in site.boss.get("/quality").text
    site.submit(site.claim())
    assert site.boss.get("/quality").status_code == 200
    assert site.boss.get("/api/v1/reliability").json() == {"people": [], "weeks": []}
    assert site.boss.get("/api/v1/suggestions/uptake").json()["people"] == []
    assert site.ann.get("/quality").status_code == 403
