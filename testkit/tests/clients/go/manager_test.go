package clients

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const finalizer = "clients.tinyplane.dev/copy"

// copier keeps a Secret beside each ConfigMap with the same data, and holds the ConfigMap until it has seen its end.
type copier struct {
	client.Client
	ended chan string
}

func (c *copier) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var source corev1.ConfigMap
	if err := c.Get(ctx, request.NamespacedName, &source); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if source.Labels["copy"] != "yes" {
		return ctrl.Result{}, nil
	}
	if !source.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&source, finalizer) {
			c.ended <- source.Name
			return ctrl.Result{}, c.Update(ctx, &source)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&source, finalizer) {
		return ctrl.Result{}, c.Update(ctx, &source)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: source.Name, Namespace: source.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, c.Client, secret, func() error {
		secret.StringData = source.Data
		return controllerutil.SetControllerReference(&source, secret, c.Scheme())
	})
	return ctrl.Result{}, err
}

func TestAManagerReconcilesWithOwnersAndFinalizers(t *testing.T) {
	log.SetLogger(zap.New(zap.WriteTo(t.Output())))
	space := namespace(t, clientset(t))
	manager, err := ctrl.NewManager(config(t), ctrl.Options{
		Metrics:                       server.Options{BindAddress: "0"},
		Cache:                         cache.Options{DefaultNamespaces: map[string]cache.Config{space: {}}},
		LeaderElection:                true,
		LeaderElectionID:              "copier",
		LeaderElectionNamespace:       space,
		LeaderElectionReleaseOnCancel: true,
	})
	must(t, err)
	reconciler := &copier{Client: manager.GetClient(), ended: make(chan string, 1)}
	must(t, ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{}).Complete(reconciler))
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- manager.Start(ctx) }()
	defer func() {
		cancel()
		must(t, <-stopped)
	}()

	direct, err := client.New(config(t), client.Options{})
	must(t, err)
	name := types.NamespacedName{Namespace: space, Name: "settings"}
	source := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name.Name, Namespace: space, Labels: map[string]string{"copy": "yes"}},
		Data:       map[string]string{"a": "1"},
	}
	must(t, direct.Create(inTime(t), source))
	copied := func(value string) func(context.Context) bool {
		return func(ctx context.Context) bool {
			var secret corev1.Secret
			return direct.Get(ctx, name, &secret) == nil && string(secret.Data["a"]) == value
		}
	}
	until(t, "a copy", copied("1"))
	must(t, direct.Patch(inTime(t), source, client.RawPatch(types.MergePatchType, []byte(`{"data": {"a": "2"}}`))))
	until(t, "a newer copy", copied("2"))
	must(t, direct.Delete(inTime(t), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name.Name, Namespace: space}}))
	until(t, "another copy", copied("2"))
	must(t, direct.Delete(inTime(t), source))
	select {
	case ended := <-reconciler.ended:
		if ended != name.Name {
			t.Fatalf("%s ended", ended)
		}
	case <-inTime(t).Done():
		t.Fatal("the finalizer was never asked")
	}
	until(t, "the end of the copy with its owner", func(ctx context.Context) bool {
		return apierrors.IsNotFound(direct.Get(ctx, name, &corev1.Secret{})) &&
			apierrors.IsNotFound(direct.Get(ctx, name, &corev1.ConfigMap{}))
	})
}
