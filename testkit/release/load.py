"""What a cluster is asked while its program counts what it runs: the same requests as a benchmark's, in the same proportions.

Asks the server of $KUBECONFIG with a connection of its own for each thread. With `tunnel` as its first argument it also moves bytes to
and from a pod, through whatever the cluster's way to its nodes is.
"""

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
from urllib.parse import urlsplit

KUBECTL = os.environ["KUBECTL"]
OBJECTS, ASKERS, WATCHERS, GETS_EACH, LISTS = 600, 8, 20, 4, 6
DIALS, STREAMED = 300, 48 << 20
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def server():
    """The address, and TLS with the client certificate of the kubeconfig."""
    told = subprocess.run([KUBECTL, "config", "view", "--raw", "--minify", "--output=json"], check=True, capture_output=True).stdout
    config = json.loads(told)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

    with tempfile.TemporaryDirectory() as folder:

        def of(part, name):
            if name in part:
                return part[name]
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(base64.b64decode(part[name + "-data"]))
            return path

        tls = ssl.create_default_context(cafile=of(cluster, "certificate-authority"))
        tls.load_cert_chain(of(user, "client-certificate"), of(user, "client-key"))
    return urlsplit(cluster["server"]), tls


AT, TLS = server()


# Half of what is asked goes as Go's clients ask, over HTTP/2: through one of these.
PROXY = subprocess.Popen([KUBECTL, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
PROXY_PORT = int(PROXY.stdout.readline().rsplit(":", 1)[1])


def connection(number=0):
    if number % 2:
        return http.client.HTTPConnection("127.0.0.1", PROXY_PORT, timeout=60)
    return http.client.HTTPSConnection(AT.hostname, AT.port, context=TLS, timeout=60)


def ask(line, method, path, body=None, kind="application/json", accept="application/json"):
    headers = {"Accept": accept, "Content-Type": kind, "User-Agent": "load"}
    line.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
    answer = line.getresponse()
    said = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {said[:300]!r}")
    return said


def pod(name):
    env = [{"name": f"NAME_{n}", "value": "x" * 20} for n in range(20)]
    container = {
        "name": "c", "image": "nginx", "ports": [{"containerPort": 80, "name": "http"}], "env": env,
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    # It is for a node that is not there: what a kubelet does with six hundred pods is not what is trained.
    spec = {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"there": "not"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "load", "tier": "front"}}, "spec": spec}


def config_map(name, text):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "load"}}, "data": {"text": text}}


def all_at_once(work):
    """Runs `work(line, number)` for all objects, some at a time."""

    def some(first):
        line = connection(first)
        for number in range(first, OBJECTS, ASKERS):
            work(line, number)
        line.close()

    askers = [threading.Thread(target=some, args=(first,)) for first in range(ASKERS)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()


def watch(path, number):
    line = connection(number)
    line.request("GET", path + "?watch=1&timeoutSeconds=600", headers={"Accept": "application/json"})
    answer = line.getresponse()
    while answer.read(1 << 16):
        pass


def api():
    line = connection()
    ask(line, "POST", "/api/v1/namespaces", {"metadata": {"name": "load"}})
    maps, pods = "/api/v1/namespaces/load/configmaps", "/api/v1/namespaces/load/pods"
    subprocess.run([KUBECTL, "wait", "--for=create", "--namespace=load", "serviceaccount/default", "--timeout=60s"], check=True)
    for path in [maps, pods]:
        for number in range(WATCHERS // 2):
            threading.Thread(target=watch, args=(path, number), daemon=True).start()
    all_at_once(lambda line, n: ask(line, "POST", maps, config_map(f"map-{n}", "x" * 1000)))
    all_at_once(lambda line, n: [ask(line, "GET", f"{maps}/map-{(n * GETS_EACH + k) % OBJECTS}") for k in range(GETS_EACH)])
    all_at_once(lambda line, n: ask(line, "POST", pods, pod(f"pod-{n}")))
    for accept in ["application/json", "application/json", PROTOBUF, TABLE]:
        for _ in range(LISTS):
            ask(line, "GET", pods, accept=accept)
            ask(line, "GET", f"{pods}?limit=200", accept=accept)
    change = {"metadata": {"labels": {"tier": "back"}}, "spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}
    all_at_once(lambda line, n: ask(line, "PATCH", f"{pods}/pod-{n}", change, "application/strategic-merge-patch+json"))
    for text in ["y", "z"]:
        applied = "?fieldManager=load&force=true"
        all_at_once(lambda line, n: ask(line, "PATCH", f"{maps}/map-{n}{applied}", config_map(f"map-{n}", text), "application/apply-patch+yaml"))
    all_at_once(lambda line, n: ask(line, "PUT", f"{maps}/map-{n}", config_map(f"map-{n}", "w" * 500)))
    all_at_once(lambda line, n: ask(line, "GET", f"{pods}/pod-{n}", accept=PROTOBUF))
    all_at_once(lambda line, n: ask(line, "DELETE", f"{maps}/map-{n}"))
    all_at_once(lambda line, n: ask(line, "DELETE", f"{pods}/pod-{n}"))
    ask(line, "DELETE", "/api/v1/namespaces/load")


def tunnel():
    run = [KUBECTL, "run", "far", "--image=nginx", "--port=80", "--restart=Never"]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([KUBECTL, "wait", "--for=condition=Ready", "pod/far", "--timeout=60s"], check=True, stdout=subprocess.DEVNULL)
    line = connection()
    for _ in range(DIALS):
        ask(line, "GET", "/api/v1/namespaces/default/pods/far/proxy/", accept="*/*")
    for command, sent in [("cat >/dev/null", STREAMED), (f"head -c {STREAMED} /dev/zero", 0)]:
        exec_in = [KUBECTL, "exec", "--stdin", "far", "--", "sh", "-c", command]
        subprocess.run(exec_in, check=True, input=bytes(sent), stdout=subprocess.DEVNULL)
    subprocess.run([KUBECTL, "delete", "pod", "far", "--now"], check=True, stdout=subprocess.DEVNULL)


api()
if sys.argv[1:] == ["tunnel"]:
    tunnel()
PROXY.terminate()
os._exit(0)  # the watches go on
