"""The dynamic client of the `kubernetes` package: whatever discovery tells of, built-in or one's own."""

import json
import time

import pytest
from kubernetes import client
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError, UnprocessibleEntityError

PATIENCE = 60


@pytest.fixture
def dynamic(tmp_path):
    return DynamicClient(client.ApiClient(), cache_file=str(tmp_path / "discovery"))


def find(dynamic, group):
    """The resource of a definition that was just made: discovery is asked again until it is told of."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return dynamic.resources.get(api_version=f"{group}/v1", kind="Widget")
        except ResourceNotFoundError:
            assert time.monotonic() < deadline, "the definition is never served"
            dynamic.resources.invalidate_cache()


def test_what_discovery_tells(dynamic):
    pods = dynamic.resources.get(api_version="v1", kind="Pod")
    assert (pods.name, pods.namespaced, pods.short_names) == ("pods", True, ["po"])
    assert {"get", "list", "watch", "create", "delete", "patch"} <= set(pods.verbs)
    assert dynamic.resources.get(api_version="apps/v1", name="deployments").kind == "Deployment"
    assert dynamic.version["kubernetes"]["major"] == "1"
    with pytest.raises(ResourceNotFoundError):
        dynamic.resources.get(api_version="v1", kind="Nonsense")


def test_a_built_in_kind(dynamic, namespace):
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    body = {"metadata": {"name": "a", "labels": {"app": "x"}}, "data": {"n": "1"}}
    made = maps.create(body=body, namespace=namespace)
    with pytest.raises(ConflictError):
        maps.create(body=body, namespace=namespace)
    assert maps.get(name="a", namespace=namespace).data.n == "1"
    found = maps.get(namespace=namespace, label_selector="app=x").items
    assert [one.metadata.name for one in found] == ["a"]
    assert maps.get(namespace=namespace, field_selector="metadata.name=b").items == []
    merged = maps.patch(
        name="a", namespace=namespace, body={"data": {"m": "2"}}, content_type="application/merge-patch+json")
    assert merged.data.to_dict() == {"n": "1", "m": "2"}
    json_patch = [{"op": "remove", "path": "/data/n"}]
    patched = maps.patch(
        name="a", namespace=namespace, body=json_patch, content_type="application/json-patch+json")
    assert patched.data.to_dict() == {"m": "2"}
    stale = made.to_dict()
    with pytest.raises(ConflictError):
        maps.replace(body=stale, namespace=namespace)
    with pytest.raises(UnprocessibleEntityError):
        maps.create(body={"metadata": {"name": "No Name"}}, namespace=namespace)
    applied = maps.server_side_apply(
        namespace=namespace, name="a", field_manager="py", force_conflicts=True,
        body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"m": "3"}})
    assert applied.data.m == "3"
    managers = {entry["manager"]: entry["operation"] for entry in applied.metadata.to_dict()["managedFields"]}
    assert managers["py"] == "Apply"
    maps.delete(name="a", namespace=namespace)
    with pytest.raises(NotFoundError):
        maps.get(name="a", namespace=namespace)


def test_a_kind_of_ones_own(dynamic, namespace, widgets):
    resource = find(dynamic, widgets)
    assert (resource.name, resource.short_names) == ("widgets", ["wg"])

    def widget(name, **spec):
        return {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}

    made = resource.create(body=widget("a", size=1), namespace=namespace)
    assert made.spec.colour == "red"
    with pytest.raises(UnprocessibleEntityError) as refused:
        resource.create(body=widget("b", size=10), namespace=namespace)
    assert "spec.size in body should be less than or equal to 9" in refused.value.body
    resource.status.patch(
        name="a", namespace=namespace, body={"status": {"size": 1, "phase": "Ready"}},
        content_type="application/merge-patch+json")
    seen = resource.get(name="a", namespace=namespace)
    assert (seen.status.phase, seen.metadata.generation) == ("Ready", 1)
    scale = resource.scale.get(name="a", namespace=namespace)
    assert (scale.kind, scale.spec.replicas, scale.status.replicas) == ("Scale", 1, 1)
    resource.scale.patch(
        name="a", namespace=namespace, body={"spec": {"replicas": 4}}, content_type="application/merge-patch+json")
    assert resource.get(name="a", namespace=namespace).spec.size == 4

    listed = resource.get(namespace=namespace)
    resource.create(body=widget("c", size=2, colour="green"), namespace=namespace)
    resource.delete(name="c", namespace=namespace)
    events = resource.watch(
        namespace=namespace, resource_version=listed.metadata.resourceVersion, timeout=PATIENCE)
    told = []
    for event in events:
        told.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            break
    assert told == [("ADDED", "c"), ("DELETED", "c")]


def test_who_may_not(dynamic, namespace):
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    dynamic.client.set_default_header("Impersonate-User", "nobody-special")
    with pytest.raises(ApiException) as refused:
        maps.get(namespace=namespace)
    assert refused.value.status == 403
    told = json.loads(refused.value.body)["message"]
    assert 'User "nobody-special" cannot list resource "configmaps"' in told
