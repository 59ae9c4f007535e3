"""What the suites share: a namespace of its own for each test."""

import uuid

import pytest
from kubernetes import client, config


@pytest.fixture(scope="session", autouse=True)
def cluster():
    config.load_kube_config()


@pytest.fixture
def namespace(cluster):
    core = client.CoreV1Api()
    name = f"py-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    core.delete_namespace(name)


def define(group):
    """Defines the kind Widget of this group, and gives the definition's name."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 0, "maximum": 9},
                    "colour": {"type": "string", "default": "red"},
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    subresources = {
        "status": {},
        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
    }
    api = client.ApiextensionsV1Api()
    name = f"widgets.{group}"
    api.create_custom_resource_definition({
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wg"]},
            "versions": [{
                "name": "v1", "served": True, "storage": True,
                "schema": {"openAPIV3Schema": schema}, "subresources": subresources,
            }],
        },
    })
    return name


@pytest.fixture
def widgets(cluster):
    """A kind of one's own, served as `widgets` under a group that no other test has."""
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    name = define(group)
    yield group
    client.ApiextensionsV1Api().delete_custom_resource_definition(name)
