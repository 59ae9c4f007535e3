"""kopf: an operator with a custom resource, handlers, a timer and a finalizer."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
from conftest import define
from kubernetes import client
from kubernetes.client.rest import ApiException

PATIENCE = 60
OPERATOR = pathlib.Path(__file__).parent / "operator_of_widgets.py"


@pytest.fixture
def operator(namespace, widgets, tmp_path):
    with open(tmp_path / "operator.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--standalone", f"--namespace={namespace}", str(OPERATOR)],
            env={**os.environ, "WIDGETS_GROUP": widgets}, stdout=log, stderr=subprocess.STDOUT)
    yield process
    process.terminate()
    try:
        process.wait(timeout=PATIENCE)
    finally:
        # Nothing is left behind, not even by an operator that does not end.
        process.kill()
    # Shown where the test failed.
    print((tmp_path / "operator.log").read_text())


def until(what, ask):
    """Asks again, every 20 ms, until there is an answer that is no falsehood."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = ask()
        except ApiException as error:
            if error.status != 404:
                raise
            answer = None
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} never came"
        pause.wait(0.02)


def test_an_operator_from_birth_to_death(operator, namespace, widgets):
    core, customs = client.CoreV1Api(), client.CustomObjectsApi()
    place = (widgets, "v1", namespace, "widgets")

    def widget():
        return customs.get_namespaced_custom_object(*place, "one")

    until("the definition", lambda: customs.list_namespaced_custom_object(*place))
    customs.create_namespaced_custom_object(
        *place, {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}})
    child = until("the child", lambda: core.read_namespaced_config_map("one-child", namespace))
    assert (child.data["size"], child.metadata.owner_references[0].kind) == ("1", "Widget")
    made = until("the status", lambda: (w := widget()).get("status", {}).get("phase") and w)
    assert made["metadata"]["finalizers"] == [f"{widgets}/kopf"]
    until("the result", lambda: widget()["status"].get("created") == {"child": "one-child"})
    until("a few beats", lambda: widget()["status"].get("beats", 0) > 3)

    customs.patch_namespaced_custom_object(*place, "one", {"spec": {"size": 5}})
    until("the new size", lambda: core.read_namespaced_config_map("one-child", namespace).data["size"] == "5")
    until("what was told of it", lambda: widget()["status"].get("resized") == "1 to 5")

    def events(reason):
        about = f"involvedObject.kind=Widget,involvedObject.name=one,reason={reason}"
        return core.list_namespaced_event(namespace, field_selector=about).items

    assert until("an event", lambda: events("Made"))[0].message == "it has a child"

    customs.delete_namespaced_custom_object(*place, "one")
    assert until("being held", lambda: events("Leaving"))[0].type == "Warning"
    assert widget()["metadata"]["deletionTimestamp"]
    customs.patch_namespaced_custom_object(*place, "one", {"metadata": {"annotations": {"let-go": "yes"}}})
    until("the farewell", lambda: core.read_namespaced_config_map("one-farewell", namespace))
    until("the end", lambda: not customs.list_namespaced_custom_object(*place)["items"])
    # The garbage collector takes what the widget owned.
    until("the child's end", lambda: not [
        one for one in core.list_namespaced_config_map(namespace).items if one.metadata.name == "one-child"])
    assert operator.poll() is None, "the operator still runs"


def test_an_operator_outlives_its_definition(operator, namespace, widgets):
    core, customs = client.CoreV1Api(), client.CustomObjectsApi()
    place = (widgets, "v1", namespace, "widgets")

    def makes_a_child_of(name):
        widget = {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1}}
        until("the kind", lambda: customs.list_namespaced_custom_object(*place))
        customs.create_namespaced_custom_object(*place, widget)
        until("its child", lambda: core.read_namespaced_config_map(f"{name}-child", namespace))

    def goes(name):
        customs.patch_namespaced_custom_object(*place, name, {"metadata": {"annotations": {"let-go": "yes"}}})
        customs.delete_namespaced_custom_object(*place, name)
        until("the farewell", lambda: core.read_namespaced_config_map(f"{name}-farewell", namespace))
        until("the end", lambda: not customs.list_namespaced_custom_object(*place)["items"])

    makes_a_child_of("one")
    # A kind that is on its way out can't be patched, says discovery, and so kopf lets finalizers be: objects go first.
    goes("one")
    definitions = client.ApiextensionsV1Api()
    definitions.delete_custom_resource_definition(f"widgets.{widgets}")
    until("the end of the definition", lambda: not [
        one for one in definitions.list_custom_resource_definition().items if one.spec.group == widgets])
    define(widgets)
    makes_a_child_of("two")
    goes("two")
    assert operator.poll() is None, "the operator still runs"
