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
