// The JavaScript client: objects, watches, informers, exec and logs.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = `js-${process.pid}`;
const deadline = { signal: AbortSignal.timeout(60_000) };

const pod = (name, ...command) => ({
  metadata: { name, labels: { app: name } },
  spec: { containers: [{ name: 'c', image: 'busybox', command: ['sh', '-c', ...command] }] },
});

test.before(() => core.createNamespace({ body: { metadata: { name: namespace } } }));
test.after(() => core.deleteNamespace({ name: namespace }));

test('nodes', async () => {
  const { items } = await core.listNode();
  assert.deepEqual(items.map((node) => node.metadata.name), ['node-1', 'node-2']);
});

test('a pod is informed of, runs, logs and executes', deadline, async () => {
  const list = () => core.listNamespacedPod({ namespace });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/pods`, list);
  const ready = new Promise((resolve, reject) => {
    informer.on('error', reject);
    informer.on('update', (seen) => {
      if (seen.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')) resolve(seen);
    });
  });
  await informer.start();
  await core.createNamespacedPod({ namespace, body: pod('p', 'echo hello; sleep 1000') });
  await ready;
  assert.equal(await core.readNamespacedPodLog({ namespace, name: 'p' }), 'hello\n');
  const out = new PassThrough();
  let said = '';
  out.on('data', (bytes) => (said += bytes));
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config)
      .exec(namespace, 'p', 'c', ['sh', '-c', 'echo out; exit 7'], out, null, null, false, resolve)
      .catch(reject);
  });
  assert.equal(said, 'out\n');
  assert.equal(status.details.causes.find((cause) => cause.reason === 'ExitCode').message, '7');
  const gone = new Promise((resolve) => informer.on('delete', resolve));
  await core.deleteNamespacedPod({ namespace, name: 'p', gracePeriodSeconds: 0 });
  await gone;
  await informer.stop();
});

test('a watch tells every change', deadline, async () => {
  const { metadata } = await core.listNamespacedConfigMap({ namespace });
  const seen = [];
  let enough;
  const all = new Promise((resolve) => (enough = resolve));
  const watch = await new k8s.Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { resourceVersion: metadata.resourceVersion, labelSelector: 'watched=yes' },
    (type, object) => {
      seen.push(`${type} ${object.metadata.name}`);
      if (type === 'DELETED') enough();
    },
    () => {},
  );
  const body = { metadata: { name: 'w', labels: { watched: 'yes' } } };
  await core.createNamespacedConfigMap({ namespace, body });
  await core.patchNamespacedConfigMap(
    { namespace, name: 'w', body: { data: { a: '1' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
  );
  await core.deleteNamespacedConfigMap({ namespace, name: 'w' });
  await all;
  watch.abort();
  assert.deepEqual(seen, ['ADDED w', 'MODIFIED w', 'DELETED w']);
});

test('refusals are errors with their code', async () => {
  await assert.rejects(core.readNamespacedPod({ namespace, name: 'none' }), { code: 404 });
  await assert.rejects(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'Bad_Name' } } }), { code: 422 });
});
