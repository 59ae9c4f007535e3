package clients

import (
	"bytes"
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/retry"
)

func TestADeploymentIsAppliedScaledAndDeletedInProtobuf(t *testing.T) {
	client := clientset(t)
	space := namespace(t, client)
	labels := map[string]string{"app": "web"}
	wished := appsapply.Deployment("web", space).WithSpec(appsapply.DeploymentSpec().
		WithReplicas(2).
		WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).WithSpec(coreapply.PodSpec().
			WithContainers(coreapply.Container().WithName("web").WithImage("nginx")))))
	apply := metav1.ApplyOptions{FieldManager: "go"}
	made, err := client.AppsV1().Deployments(space).Apply(inTime(t), wished, apply)
	must(t, err)
	if made.Generation != 1 || len(made.ManagedFields) != 1 || made.ManagedFields[0].Manager != "go" {
		t.Fatalf("it was applied as %+v", made.ObjectMeta)
	}
	until(t, "two replicas", func(ctx context.Context) bool {
		now, err := client.AppsV1().Deployments(space).Get(ctx, "web", metav1.GetOptions{})
		must(t, err)
		return now.Status.AvailableReplicas == 2
	})
	scale, err := client.AppsV1().Deployments(space).GetScale(inTime(t), "web", metav1.GetOptions{})
	must(t, err)
	scale.Spec.Replicas = 3
	_, err = client.AppsV1().Deployments(space).UpdateScale(inTime(t), "web", scale, metav1.UpdateOptions{})
	must(t, err)
	// Another manager has the number of replicas now: the first is told whose it is, and may take it by force.
	_, err = client.AppsV1().Deployments(space).Apply(inTime(t), wished, apply)
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), ".spec.replicas") {
		t.Fatalf("a conflict was expected: %v", err)
	}
	apply.Force = true
	_, err = client.AppsV1().Deployments(space).Apply(inTime(t), wished, apply)
	must(t, err)
	must(t, client.AppsV1().Deployments(space).Delete(inTime(t), "web", metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationForeground),
	}))
	until(t, "the end of all that it owned", func(ctx context.Context) bool {
		pods, err := client.CoreV1().Pods(space).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		must(t, err)
		_, err = client.AppsV1().Deployments(space).Get(ctx, "web", metav1.GetOptions{})
		return apierrors.IsNotFound(err) && len(pods.Items) == 0
	})
}

func TestConcurrentWritersAreToldOfEachOther(t *testing.T) {
	client := clientset(t)
	space := namespace(t, client)
	maps := client.CoreV1().ConfigMaps(space)
	_, err := maps.Create(inTime(t), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "count"}}, metav1.CreateOptions{})
	must(t, err)
	const writers = 8
	failed := make(chan error, writers)
	for range writers {
		go func() {
			failed <- retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				// The package's default gives up after four steps: here all writers meet at one object.
				return retry.OnError(retry.DefaultBackoff, apierrors.IsConflict, func() error {
					found, err := maps.Get(t.Context(), "count", metav1.GetOptions{})
					if err != nil {
						return err
					}
					if found.Data == nil {
						found.Data = map[string]string{}
					}
					found.Data["n"] += "x"
					_, err = maps.Update(t.Context(), found, metav1.UpdateOptions{})
					return err
				})
			})
		}()
	}
	written := 0
	for range writers {
		if err := <-failed; err == nil {
			written++
		} else if !apierrors.IsConflict(err) {
			t.Error(err)
		}
	}
	found, err := maps.Get(inTime(t), "count", metav1.GetOptions{})
	must(t, err)
	if len(found.Data["n"]) != written {
		t.Fatalf("%d writes succeeded, and %q is there", written, found.Data["n"])
	}
}

func TestPatchesOfEveryKindAndDryRun(t *testing.T) {
	client := clientset(t)
	space := namespace(t, client)
	maps := client.CoreV1().ConfigMaps(space)
	_, err := maps.Create(inTime(t), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"x": "1"}, BinaryData: map[string][]byte{"b": {0, 255}},
	}, metav1.CreateOptions{})
	must(t, err)
	for kind, patch := range map[types.PatchType]string{
		types.JSONPatchType:           `[{"op": "add", "path": "/data/json", "value": "1"}]`,
		types.MergePatchType:          `{"data": {"merge": "1"}}`,
		types.StrategicMergePatchType: `{"data": {"strategic": "1"}}`,
	} {
		_, err := maps.Patch(inTime(t), "a", kind, []byte(patch), metav1.PatchOptions{})
		must(t, err)
	}
	tried, err := maps.Patch(inTime(t), "a", types.MergePatchType, []byte(`{"data": null}`), metav1.PatchOptions{DryRun: []string{"All"}})
	must(t, err)
	found, err := maps.Get(inTime(t), "a", metav1.GetOptions{})
	must(t, err)
	if len(tried.Data) != 0 || len(found.Data) != 4 || !bytes.Equal(found.BinaryData["b"], []byte{0, 255}) {
		t.Fatalf("tried %v, found %v and %v", tried.Data, found.Data, found.BinaryData)
	}
}

func TestCommandsRunOverBothStreamProtocols(t *testing.T) {
	client, config := clientset(t), config(t)
	space := namespace(t, client)
	_, err := client.CoreV1().Pods(space).Create(inTime(t), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "shell"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "nginx"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	until(t, "a running pod", func(ctx context.Context) bool {
		pod, err := client.CoreV1().Pods(space).Get(ctx, "shell", metav1.GetOptions{})
		must(t, err)
		return pod.Status.Phase == corev1.PodRunning
	})
	url := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(space).Name("shell").SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Command: []string{"sh", "-c", "cat; echo told >&2; exit 3"}, Stdin: true, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	for name, make := range map[string]func() (remotecommand.Executor, error){
		"SPDY": func() (remotecommand.Executor, error) { return remotecommand.NewSPDYExecutor(config, "POST", url) },
		"WebSocket": func() (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutor(config, "GET", url.String())
		},
	} {
		t.Run(name, func(t *testing.T) {
			executor, err := make()
			must(t, err)
			var stdout, stderr bytes.Buffer
			err = executor.StreamWithContext(inTime(t), remotecommand.StreamOptions{
				Stdin: strings.NewReader("hello\n"), Stdout: &stdout, Stderr: &stderr,
			})
			if err == nil || !strings.Contains(err.Error(), "exit code 3") || stdout.String() != "hello\n" || stderr.String() != "told\n" {
				t.Fatalf("%v, %q, %q", err, &stdout, &stderr)
			}
		})
	}
	logs, err := client.CoreV1().Pods(space).GetLogs("shell", &corev1.PodLogOptions{}).DoRaw(inTime(t))
	if err != nil {
		t.Fatalf("%v: %s", err, logs)
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	client := clientset(t)
	space := namespace(t, client)
	_, err := client.CoreV1().Pods(space).Create(inTime(t), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "No"}}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeFieldValueRequired) {
		t.Errorf("of a bad pod: %v", err)
	}
	_, err = client.AppsV1().Deployments(space).Get(inTime(t), "none", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("of one that is not there: %v", err)
	}
	stranger := rest.AnonymousClientConfig(config(t))
	stranger.CAFile, stranger.CAData = config(t).CAFile, config(t).CAData
	anonymous, err := newFor(stranger)
	must(t, err)
	_, err = anonymous.CoreV1().Secrets(space).List(inTime(t), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("of a stranger: %v", err)
	}
	_, err = client.CoreV1().Pods(space).List(inTime(t), metav1.ListOptions{Continue: "junk"})
	if !apierrors.IsBadRequest(err) {
		t.Errorf("of a bad continue token: %v", err)
	}
	_, err = client.AppsV1().Deployments(space).Create(inTime(t), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "other"},
	}, metav1.CreateOptions{})
	if !apierrors.IsBadRequest(err) {
		t.Errorf("of another namespace: %v", err)
	}
}
