"""lightkube: its typed models, waits and patches."""

import pytest
from lightkube import ApiError, Client
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType


def test_nodes_and_pods(namespace):
    client = Client()
    assert {n.metadata.name for n in client.list(Node)} == {"node-1", "node-2"}
    spec = PodSpec(containers=[Container(name="c", image="busybox", args=["sh", "-c", "echo hello; sleep 1000"])])
    client.create(Pod(metadata=ObjectMeta(name="p", namespace=namespace), spec=spec))
    client.wait(Pod, "p", for_conditions=["Ready"], namespace=namespace)
    assert list(client.log("p", namespace=namespace)) == ["hello\n"]
    client.delete(Pod, "p", namespace=namespace, grace_period=0)


def test_patches(namespace):
    client = Client()
    client.create(ConfigMap(metadata=ObjectMeta(name="m", namespace=namespace), data={"a": "1"}))
    client.patch(ConfigMap, "m", {"data": {"b": "2"}}, namespace=namespace, patch_type=PatchType.MERGE)
    assert client.get(ConfigMap, "m", namespace=namespace).data == {"a": "1", "b": "2"}
    applied = ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="m", namespace=namespace), data={"c": "3"})
    assert client.apply(applied, field_manager="light").data == {"a": "1", "b": "2", "c": "3"}
    with pytest.raises(ApiError) as refused:
        client.get(ConfigMap, "none", namespace=namespace)
    assert refused.value.status.code == 404
