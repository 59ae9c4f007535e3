"""An operator as people write them with kopf: it keeps a ConfigMap for each Widget. Run by test_kopf.py."""

import os

import kopf
from kubernetes import client, config

GROUP = os.environ["WIDGETS_GROUP"]


@kopf.on.startup()
def configure(settings, **_):
    config.load_kube_config()
    settings.persistence.finalizer = f"{GROUP}/kopf"


@kopf.on.create(GROUP, "v1", "widgets")
def created(body, spec, name, namespace, patch, **_):
    child = {"metadata": {"name": f"{name}-child"}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child)
    client.CoreV1Api().create_namespaced_config_map(namespace, child)
    kopf.info(body, reason="Made", message="it has a child")
    patch.status["phase"] = "Made"
    return {"child": child["metadata"]["name"]}


@kopf.on.field(GROUP, "v1", "widgets", field="spec.size")
def resized(old, new, name, namespace, patch, **_):
    if old is None:
        return
    body = {"data": {"size": str(new)}}
    client.CoreV1Api().patch_namespaced_config_map(f"{name}-child", namespace, body)
    patch.status["resized"] = f"{old} to {new}"


@kopf.timer(GROUP, "v1", "widgets", interval=0.2)
def beat(patch, status, **_):
    patch.status["beats"] = status.get("beats", 0) + 1


@kopf.on.delete(GROUP, "v1", "widgets")
def deleted(body, name, namespace, annotations, **_):
    kopf.warn(body, reason="Leaving", message="it is to go")
    if annotations.get("let-go") != "yes":
        raise kopf.TemporaryError("it is held", delay=0.2)
    told = {"metadata": {"name": f"{name}-farewell"}}
    try:
        client.CoreV1Api().create_namespaced_config_map(namespace, told)
    except client.ApiException as error:
        # What kopf notes of a handler's end gives way to a beat that was noted meanwhile, and the handler is run again.
        if error.status != 409:
            raise
