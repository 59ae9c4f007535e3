"""kr8s: objects that know how to wait, scale, exec and forward."""

import httpx
import kr8s
from kr8s.objects import Deployment, Pod


def test_a_deployment(namespace):
    labels = {"app": "web"}
    deployment = Deployment({
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}}},
    })
    deployment.create()
    deployment.wait("condition=Available", timeout=60)
    deployment.scale(3)
    deployment.wait("jsonpath='{.status.readyReplicas}'=3", timeout=60)
    pods = list(kr8s.get("pods", namespace=namespace, label_selector=labels))
    assert len(pods) == 3
    deployment.delete()


def test_a_pod(namespace):
    pod = Pod({
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
    })
    pod.create()
    pod.wait("condition=Ready", timeout=60)
    assert pod.exec(["echo", "hello"]).stdout == b"hello\n"
    with pod.portforward(remote_port=80) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    assert any("GET /" in line for line in pod.logs())
    pod.label({"seen": "yes"})
    assert pod.labels["seen"] == "yes"
    pod.delete()
    pod.wait("delete", timeout=60)
