"""The official Python client: typed, dynamic, watches and streams."""

import pytest
from kubernetes import client, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
}


def until(core, namespace, wanted, **options):
    """The first event of the watch that is as wanted."""
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_pod, namespace, timeout_seconds=60, **options):
        if wanted(event):
            watcher.stop()
            return event["object"]
    raise AssertionError("the watch ended before")


def ready(event):
    conditions = event["object"].status.conditions or []
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def test_nodes_and_version():
    assert client.VersionApi().get_code().git_version.startswith("v1.36")
    nodes = client.CoreV1Api().list_node().items
    assert [n.metadata.name for n in nodes] == ["node-1", "node-2"]
    assert nodes[0].status.node_info.kubelet_version.startswith("v1.36")


def test_a_pod_lives_and_dies(namespace):
    core = client.CoreV1Api()
    core.create_namespaced_pod(namespace, POD)
    pod = until(core, namespace, ready)
    assert pod.status.pod_ip
    said = stream(
        core.connect_get_namespaced_pod_exec, "web", namespace, command=["sh", "-c", "echo out; echo err >&2; exit 3"],
        stderr=True, stdin=False, stdout=True, tty=False, _preload_content=False,
    )
    said.run_forever(timeout=30)
    assert (said.read_stdout(), said.read_stderr(), said.returncode) == ("out\n", "err\n", 3)
    ports = portforward(core.connect_get_namespaced_pod_portforward, "web", namespace, ports="80")
    socket = ports.socket(80)
    socket.setblocking(True)
    socket.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    assert socket.recv(12) == b"HTTP/1.1 200"
    socket.close()
    assert "GET /" in core.read_namespaced_pod_log("web", namespace)
    core.delete_namespaced_pod("web", namespace, grace_period_seconds=0)
    until(core, namespace, lambda e: e["type"] == "DELETED", resource_version=pod.metadata.resource_version)


def test_patches_and_conflicts(namespace):
    core = client.CoreV1Api()
    made = core.create_namespaced_config_map(namespace, {"metadata": {"name": "m"}, "data": {"a": "1"}})
    core.patch_namespaced_config_map("m", namespace, {"data": {"b": "2"}})
    core.patch_namespaced_config_map("m", namespace, [{"op": "remove", "path": "/data/a"}])
    assert core.read_namespaced_config_map("m", namespace).data == {"b": "2"}
    made.data = {"late": "1"}
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("m", namespace, made)
    assert refused.value.status == 409
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "m"}})
    assert refused.value.status == 409
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_config_map("none", namespace)
    assert refused.value.status == 404


def test_pages(namespace):
    core = client.CoreV1Api()
    for i in range(7):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": f"m{i}", "labels": {"odd": str(i % 2)}}})
    names, go_on = [], None
    while go_on != "":
        page = core.list_namespaced_config_map(namespace, limit=3, _continue=go_on or None)
        names += [m.metadata.name for m in page.items if m.metadata.name.startswith("m")]
        go_on = page.metadata._continue or ""
    assert names == [f"m{i}" for i in range(7)]
    odd = core.list_namespaced_config_map(namespace, label_selector="odd=1").items
    assert [m.metadata.name for m in odd] == ["m1", "m3", "m5"]


def test_dynamic_client(namespace):
    api = dynamic.DynamicClient(client.ApiClient())
    deployments = api.resources.get(api_version="apps/v1", kind="Deployment")
    labels = {"app": "web"}
    deployments.create(
        namespace=namespace,
        body={
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": POD["spec"]}},
        },
    )
    for event in deployments.watch(namespace=namespace, timeout=60):
        if event["object"].status.readyReplicas == 2:
            break
    else:
        raise AssertionError("the deployment did not become ready")
    scale = deployments.scale.get(name="web", namespace=namespace)
    assert scale.spec.replicas == 2
    deployments.scale.patch(
        name="web", namespace=namespace, body={"spec": {"replicas": 1}}, content_type="application/merge-patch+json",
    )
    assert deployments.get(name="web", namespace=namespace).spec.replicas == 1
    deployments.delete(name="web", namespace=namespace)


def test_apply(namespace):
    api = dynamic.DynamicClient(client.ApiClient())
    maps = api.resources.get(api_version="v1", kind="ConfigMap")
    wish = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
    maps.server_side_apply(namespace=namespace, body=wish, field_manager="first")
    with pytest.raises(dynamic.exceptions.ConflictError):
        maps.server_side_apply(namespace=namespace, body={**wish, "data": {"a": "2"}}, field_manager="second")
    forced = maps.server_side_apply(
        namespace=namespace, body={**wish, "data": {"a": "2"}}, field_manager="second", force_conflicts=True,
    )
    assert forced.data.a == "2"


def test_yaml_of_many_kinds(namespace):
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox", "command": ["true"]}]}}}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"},
         "spec": {"podSelector": {}}},
    ]
    for wish in objects:
        utils.create_from_dict(client.ApiClient(), wish, namespace=namespace)
    service = client.CoreV1Api().read_namespaced_service("s", namespace)
    assert service.spec.cluster_ip.startswith("127.")
    watcher = watch.Watch()
    for event in watcher.stream(client.BatchV1Api().list_namespaced_job, namespace, timeout_seconds=60):
        if event["object"].status.succeeded == 1:
            watcher.stop()
            break
    else:
        raise AssertionError("the job did not end")
