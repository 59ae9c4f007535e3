// Package clients runs Go's clients against the cluster that KUBECONFIG leads to.
package clients

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience is how long a test waits for a state.
const patience = 60 * time.Second

// config reads KUBECONFIG. Typed clients of it speak protobuf, as upstream's own components do.
func config(t *testing.T) *rest.Config {
	t.Helper()
	return configOf(t, os.Getenv("KUBECONFIG"))
}

func configOf(t *testing.T, kubeconfig string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	must(t, err)
	config.QPS, config.Burst = -1, -1
	return config
}

func protobuf(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

func clientset(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	return clientsetOf(t, os.Getenv("KUBECONFIG"))
}

func clientsetOf(t *testing.T, kubeconfig string) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(protobuf(configOf(t, kubeconfig)))
	must(t, err)
	return client
}

// program is the one that TINYPLANE names.
func program(t *testing.T) string {
	t.Helper()
	found := os.Getenv("TINYPLANE")
	if found == "" {
		t.Fatal("TINYPLANE does not say where the program is")
	}
	return found
}

// aside is a cluster of a test's own.
type aside struct {
	Kubeconfig, DataDir string
}

// another starts a cluster beside the one that all tests share; it ends with the test.
func another(t *testing.T, options ...string) aside {
	t.Helper()
	command := exec.Command(program(t), append([]string{"up", "--data-dir", t.TempDir() + "/cluster"}, options...)...)
	command.Stderr = os.Stderr
	told, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	t.Cleanup(func() {
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	var made aside
	must(t, json.NewDecoder(told).Decode(&made))
	return made
}

// inTime gives a context that ends with the test, or when patience does.
func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// namespace makes a namespace with a default service account for one test.
func namespace(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	made, err := client.CoreV1().Namespaces().Create(inTime(t), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "go-"},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		if err := client.CoreV1().Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	until(t, "the default service account", func(ctx context.Context) bool {
		_, err := client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
	return made.Name
}

// until asks again, every 20 ms, until what is asked for is so.
func until(t *testing.T, what string, is func(context.Context) bool) {
	t.Helper()
	ctx := inTime(t)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come within %v", what, patience)
		case <-again.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
