"""A major edition is approved by somebody who may, in his own name, and never by the one who submitted it."""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from millpond.api import approval
from millpond.api.approval import Approval
from millpond.api.names import (
    EDITION,
    ELASTICAPP,
    EMERGENCY_ANNOTATION,
    SUBMITTER_ANNOTATION,
)
from millpond.local.cluster.embedded import Cluster

from api.manifests import Manifest, manifest
from api.server import Refused, Server
from waiting import eventually

OPERATOR = "system:serviceaccount:millpond-system:millpond-operator"


def annotated(raw: Manifest, **annotations: str | None) -> Manifest:
    """{"approval": text} -> a merge patch, or a manifest, with millpond.dev/approval: text"""
    named = {f"millpond.dev/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return raw | {"metadata": raw.get("metadata", {}) | {"annotations": named}}


def annotations(raw: Manifest) -> dict[str, str]:
    found: dict[str, str] = raw["metadata"].get("annotations", {})
    return found


@dataclass(frozen=True)
class People:
    """The API server as seen by each of them, in one namespace."""

    admin: Server
    tom: Server  # role edit
    tess: Server  # role edit
    ann: Server  # approver
    lead: Server  # approver with role edit
    operator: Server

    def submitted(self, who: Server) -> Manifest:
        """An Edition, made by the operator as from an app that ``who`` has submitted."""
        app = who.create(manifest(ELASTICAPP, name="trial"), dry_run=True)
        made = manifest(EDITION, name=f"shop-{secrets.token_hex(4)}")
        made["metadata"]["annotations"] = approval.submission(app)
        return self.operator.create(made)


@pytest.fixture(scope="module")
def people(cluster: Cluster, http: httpx.Client) -> Iterator[People]:
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    where = f"--namespace={name}"
    cluster.kubectl(
        "create", "rolebinding", "e", "--clusterrole=edit", "--user=tom", "--user=tess", "--user=lead", where
    )
    cluster.kubectl(
        "create", "rolebinding", "a", "--clusterrole=millpond-approver", "--user=ann", "--user=lead", where
    )
    admin = Server(http, name)
    users = {who: admin.acting_as(who) for who in ("tom", "tess", "ann", "lead")}
    everybody = People(admin=admin, operator=admin.acting_as(OPERATOR), **users)
    eventually(lambda: _settled(everybody), 30, "roles and policies are obeyed")
    yield everybody
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def _settled(people: People) -> bool:
    """Whether the API server has taken notice of all roles and policies."""
    try:
        made = people.submitted(people.tom)
        text = Approval(by="ann", reason="trial").text()
        people.ann.patch(made, annotated({}, approval=text))
        people.lead.create(manifest(ELASTICAPP, name="trial"), dry_run=True)
        people.tess.create(manifest(ELASTICAPP, name="trial"), dry_run=True)
    except Refused:
        return False
    try:
        people.admin.patch(made, annotated({}, submitter="somebody"))
    except Refused:
        return approval.submitter(made) == "tom"
    return False


@pytest.mark.integration
class TestApproval:
    def test_an_approver_approves_what_another_has_submitted(self, people: People) -> None:
        made = people.submitted(people.tom)
        given = Approval(by="ann", reason='load test "B" passed: 300 ≤ 350 ms; see C:\\reports')
        written = people.ann.patch(made, annotated({}, approval=given.text()))
        assert approval.granted(written, manifest(ELASTICAPP)) == given
        assert approval.submitter(written) == "tom"

    def test_an_approver_does_not_approve_his_own(self, people: People) -> None:
        made = people.submitted(people.lead)
        with pytest.raises(Refused) as refused:
            people.lead.patch(made, annotated({}, approval=Approval("lead", "mine").text()))
        assert f'"lead" submitted Edition "{made["metadata"]["name"]}"' in str(refused.value)
        assert "somebody else must approve it" in str(refused.value)
        written = people.ann.patch(made, annotated({}, approval=Approval("ann", "read").text()))
        assert approval.granted(written, manifest(ELASTICAPP)) == Approval("ann", "read")

    def test_nobody_approves_in_the_name_of_another(self, people: People) -> None:
        made = people.submitted(people.tom)
        with pytest.raises(Refused, match='by is "tess", but you are "ann": approve in your own name'):
            people.ann.patch(made, annotated({}, approval=Approval("tess", "she said so").text()))

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("yes", id="a word"),
            pytest.param('{"by": "ann"}', id="no reason"),
            pytest.param('{"by": "ann", "reason": ""}', id="an empty reason"),
            pytest.param('{"reason": "fine", "by": "ann"}', id="another order"),
            pytest.param('{"by": "tess", "reason": "x", "by": "ann"}', id="two names"),
            pytest.param('{"by": "ann", "reason": "x", "by": "tess"}', id="two names, the own one first"),
            pytest.param('{"by": "ann", "reason": "x"} ["tess"]', id="more behind it"),
            pytest.param('{"by": "ann", "reason": "a\nb"}', id="a line end that JSON does not have"),
            pytest.param('{"by": "ann", "reason": "\\q"}', id="an escape that JSON does not have"),
        ],
    )
    def test_an_approval_says_who_and_why_in_one_way_only(self, people: People, text: str) -> None:
        made = people.submitted(people.tom)
        with pytest.raises(Refused, match=re.escape('write it as {"by": "ann", "reason": "why"}')):
            people.ann.patch(made, annotated({}, approval=text))

    def test_tenants_and_the_operator_write_no_approval(self, people: People) -> None:
        made = people.submitted(people.tess)
        for who, name in ((people.tom, "tom"), (people.tess, "tess"), (people.operator, OPERATOR)):
            with pytest.raises(Refused, match="cannot patch resource"):
                who.patch(made, annotated({}, approval=Approval(name, "let me").text()))

    def test_the_right_to_write_editions_is_not_the_right_to_approve_them(
        self, people: People, cluster: Cluster
    ) -> None:
        where = f"--namespace={people.admin.namespace}"
        rights = ("--verb=create,patch", "--resource=editions.millpond.dev")
        cluster.kubectl("create", "role", "writer", *rights, where)
        cluster.kubectl("create", "rolebinding", "writer", "--role=writer", "--user=wim", where)
        wim, made = people.admin.acting_as("wim"), people.submitted(people.tom)
        eventually(lambda: _may_label(wim, made), 30, "wim may write editions")
        with pytest.raises(Refused) as refused:
            wim.patch(made, annotated({}, approval=Approval("wim", "let me").text()))
        assert '"wim" may not change the approval of Edition' in str(refused.value)
        assert "needs the verb approve on editions in namespace" in str(refused.value)
        forged = annotated(manifest(EDITION, name="forged"), approval=Approval("wim", "let me").text())
        with pytest.raises(Refused, match='"wim" may not change the approval of Edition "forged"'):
            wim.create(forged)

    def test_only_an_approver_takes_an_approval_back(self, people: People) -> None:
        made = people.submitted(people.tom)
        people.ann.patch(made, annotated({}, approval=Approval("ann", "fine").text()))
        taken = people.lead.patch(made, annotated({}, approval=None))
        assert approval.granted(taken, manifest(ELASTICAPP)) is None

    def test_the_operator_goes_on_writing_the_status_of_an_approved_edition(self, people: People) -> None:
        made = people.submitted(people.tom)
        people.ann.patch(made, annotated({}, approval=Approval("ann", "fine").text()))
        written = people.operator.patch(made, {"status": {"state": "Validating"}}, part="status")
        assert written["status"] == {"state": "Validating"}
        assert approval.granted(written, manifest(ELASTICAPP)) == Approval("ann", "fine")

    def test_an_approver_changes_nothing_else_that_counts(self, people: People) -> None:
        made = people.submitted(people.tom)
        with pytest.raises(Refused, match="cannot change"):
            people.ann.patch(made, {"spec": {"templateHash": "9"}})
        with pytest.raises(Refused, match=r"who submitted Edition .* cannot be changed"):
            people.ann.patch(made, annotated({}, submitter=None))
        with pytest.raises(Refused, match=r"those of millpond\.dev/ are the operator's"):
            people.ann.patch(made, {"metadata": {"labels": {"millpond.dev/app": "other"}}})
        with pytest.raises(Refused, match="cannot patch resource"):
            people.ann.patch(made, {"status": {"state": "Active"}}, part="status")
        with pytest.raises(Refused, match="cannot delete resource"):
            people.ann.delete(made)


def _may_label(who: Server, made: Manifest) -> bool:
    try:
        return bool(who.patch(made, {"metadata": {"labels": {"a": "b"}}}))
    except Refused:
        return False


@pytest.fixture
def shop(people: People) -> Iterator[Manifest]:
    """An ElasticApp that tom has submitted."""
    made = people.tom.create(manifest(ELASTICAPP))
    yield made
    people.admin.delete(made)


@pytest.mark.integration
class TestSubmitter:
    def test_it_is_the_one_who_gave_the_app_its_edition(self, people: People, shop: Manifest) -> None:
        assert approval.submitter(shop) == "tom"
        later = people.tess.patch(shop, {"spec": {"servers": {"max": 9}}})
        assert approval.submitter(later) == "tom"
        renamed = people.tess.patch(shop, {"spec": {"edition": "v2"}})
        assert approval.submission(renamed) == {SUBMITTER_ANNOTATION: "tess"}

    def test_the_operator_who_writes_status_is_not_one(self, people: People, shop: Manifest) -> None:
        written = people.operator.patch(shop, {"status": {"replicas": 1}}, part="status")
        assert approval.submitter(written) == "tom"

    @pytest.mark.parametrize(
        "forge",
        [
            pytest.param({"submitter": "tess"}, id="another's name"),
            pytest.param({"submitter": None}, id="nobody's name"),
            pytest.param({"submitter": ""}, id="an empty name"),
        ],
    )
    def test_nobody_chooses_whose_name_it_is(
        self, people: People, shop: Manifest, forge: dict[str, str | None]
    ) -> None:
        assert approval.submitter(people.tom.patch(shop, annotated({}, **forge))) == "tom"
        change = annotated({"spec": {"edition": "v2"}}, **forge)
        assert approval.submitter(people.lead.patch(shop, change)) == "lead"
        fresh = manifest(ELASTICAPP, name="fresh")
        fresh["metadata"]["annotations"] = {SUBMITTER_ANNOTATION: "tess", "kept": "yes"}
        stored = annotations(people.tom.create(fresh, dry_run=True))
        assert stored == {SUBMITTER_ANNOTATION: "tom", "kept": "yes"}

    def test_an_app_taken_out_of_one_namespace_is_applied_in_another(
        self, people: People, cluster: Cluster, shop: Manifest
    ) -> None:
        """kubectl replaces the whole object, annotations and all."""
        where = (f"--namespace={people.admin.namespace}", "--as=tess", "--filename=-")
        found = people.admin.get(shop)
        found["spec"]["edition"] = "v3"
        cluster.kubectl("replace", *where, stdin=json.dumps(found))
        assert approval.submitter(people.admin.get(shop)) == "tess"


EMERGENCY = {"spec": {"rollout": {"emergency": "the shop is down", "emergencyEdition": "v1"}}}


@pytest.mark.integration
class TestEmergency:
    def test_any_tenant_declares_one_and_the_api_server_says_who_did(
        self, people: People, shop: Manifest
    ) -> None:
        declared = people.tess.patch(shop, EMERGENCY)
        assert declared["spec"]["rollout"]["emergency"] == "the shop is down"
        assert annotations(declared)[EMERGENCY_ANNOTATION] == "tess"
        later = people.tom.patch(shop, annotated({"spec": {"port": 81}}, emergency_by="ann"))
        assert annotations(later)[EMERGENCY_ANNOTATION] == "tess"

    def test_another_reason_or_edition_is_another_emergency(self, people: People, shop: Manifest) -> None:
        people.tess.patch(shop, EMERGENCY)
        other = people.tom.patch(shop, {"spec": {"rollout": {"emergency": "still down"}}})
        assert annotations(other)[EMERGENCY_ANNOTATION] == "tom"
        moved = people.lead.patch(shop, {"spec": {"rollout": {"emergencyEdition": "v2"}}})
        assert annotations(moved)[EMERGENCY_ANNOTATION] == "lead"

    def test_a_new_edition_alone_declares_none(self, people: People, shop: Manifest) -> None:
        people.tess.patch(shop, EMERGENCY)
        renamed = people.lead.patch(shop, {"spec": {"edition": "v2"}})
        assert annotations(renamed)[EMERGENCY_ANNOTATION] == "tess"
        assert renamed["spec"]["rollout"]["emergencyEdition"] == "v1"

    @pytest.mark.parametrize(
        ("emergency", "says"),
        [
            pytest.param({"emergency": "fire"}, "an emergency is about one edition", id="of no edition"),
            pytest.param(
                {"emergency": " ", "emergencyEdition": "v1"}, '" " is no reason', id="without a reason"
            ),
        ],
    )
    def test_it_is_about_one_edition_and_has_a_reason(
        self, people: People, shop: Manifest, emergency: dict[str, str], says: str
    ) -> None:
        with pytest.raises(Refused, match=says):
            people.tess.patch(shop, {"spec": {"rollout": emergency}})

    def test_nobody_is_named_when_there_is_none(self, people: People, shop: Manifest) -> None:
        people.tess.patch(shop, EMERGENCY)
        over = people.tom.patch(shop, {"spec": {"rollout": {"emergency": ""}}})
        assert EMERGENCY_ANNOTATION not in annotations(over)
        forged = people.tom.patch(shop, annotated({}, emergency_by="ann"))
        assert EMERGENCY_ANNOTATION not in annotations(forged)


@pytest.mark.integration
class TestMajor:
    def test_a_major_edition_stays_one_until_it_serves(self, people: People, shop: Manifest) -> None:
        people.tom.patch(shop, {"spec": {"edition": "v2", "rollout": {"major": True}}})
        for minor in ({"rollout": {"major": False}}, {"rollout": None}):
            with pytest.raises(Refused) as refused:
                people.tom.patch(shop, {"spec": minor})
            assert 'spec.rollout.major: false is not right for edition "v2"' in str(refused.value)
            assert "have it approved, or give it another name" in str(refused.value)
        people.operator.patch(shop, {"status": {"edition": "v2"}}, part="status")
        calm = people.tom.patch(shop, {"spec": {"rollout": {"major": False}}})
        assert calm["spec"]["rollout"]["major"] is False

    def test_the_next_edition_need_not_be_one(self, people: People, shop: Manifest) -> None:
        people.tom.patch(shop, {"spec": {"edition": "v2", "rollout": {"major": True}}})
        minor = people.tom.patch(shop, {"spec": {"edition": "v3", "rollout": {"major": False}}})
        assert minor["spec"]["edition"] == "v3"


def _edition(text: str | None) -> Manifest:
    return annotated(manifest(EDITION), **({} if text is None else {"approval": text}))


@pytest.mark.parametrize(
    ("text", "app_by", "expected"),
    [
        pytest.param(None, "tom", None, id="no approval"),
        pytest.param('{"by": "ann", "reason": "fine"}', "tom", Approval("ann", "fine"), id="another's approval"),
        pytest.param('{"by": "ann", "reason": "fine"}', None, Approval("ann", "fine"), id="nobody knows who submitted"),
        pytest.param('{"by": "ann", "reason": "fine"}', "ann", None, id="an edition brought back by its approver"),
        pytest.param("fine", "tom", None, id="no JSON"),
        pytest.param("null", "tom", None, id="JSON null"),
        pytest.param('["ann"]', "tom", None, id="a list"),
        pytest.param('{"by": "", "reason": "fine"}', "tom", None, id="by nobody"),
        pytest.param('{"by": "ann"}', "tom", None, id="without a reason"),
    ],
)  # fmt: skip
def test_the_operator_looks_again_whether_an_approval_counts(
    text: str | None, app_by: str | None, expected: Approval | None
) -> None:
    app = annotated(manifest(ELASTICAPP), **({} if app_by is None else {"submitter": app_by}))
    assert approval.granted(_edition(text), app) == expected


def test_names_stand_in_an_approval_as_they_are() -> None:
    assert Approval("änn", "≤").text() == '{"by": "änn", "reason": "≤"}'
