package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

func newFor(config *rest.Config) (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(config)
}

// story is what one informer has seen of the ConfigMaps of a namespace.
type story struct {
	sync.Mutex
	newest int64
	states map[string]string
	wrong  []string
}

func (s *story) saw(what string, object any) {
	s.Lock()
	defer s.Unlock()
	if gone, is := object.(cache.DeletedFinalStateUnknown); is {
		object = gone.Obj
	}
	found := object.(*corev1.ConfigMap)
	revision, err := strconv.ParseInt(found.ResourceVersion, 10, 64)
	if err != nil {
		s.wrong = append(s.wrong, err.Error())
	}
	if what == "deleted" {
		delete(s.states, found.Name)
		return
	}
	before, known := s.states[found.Name]
	if known == (what == "added") {
		s.wrong = append(s.wrong, fmt.Sprintf("%s of %s, known: %v", what, found.Name, known))
	}
	if known && before == found.Data["n"] {
		s.wrong = append(s.wrong, fmt.Sprintf("%s of %s twice at %q", what, found.Name, before))
	}
	s.states[found.Name] = found.Data["n"]
	s.newest = max(s.newest, revision)
}

func (s *story) has(states map[string]string) bool {
	s.Lock()
	defer s.Unlock()
	if len(s.states) != len(states) {
		return false
	}
	for name, state := range states {
		if s.states[name] != state {
			return false
		}
	}
	return true
}

// Twenty informers see every change, each once and in order, though the API server is started anew in between.
func TestTwentyInformersResumeOverARestart(t *testing.T) {
	client := clientset(t)
	followChanges(t, os.Getenv("KUBECONFIG"), namespace(t, client), func(round int) {
		if round == 2 {
			restart(t)
		}
	})
}

// The same where what was missed while the server was away has been compacted: they list again, and miss nothing.
func TestTwentyInformersResumeOverCompaction(t *testing.T) {
	const interval = "100ms"
	cluster := another(t, "--nodes=0", "--no-controllers", "--etcd-compaction-interval="+interval)
	client := clientsetOf(t, cluster.Kubeconfig)
	maps := client.CoreV1().ConfigMaps("default")
	before, err := maps.List(inTime(t), metav1.ListOptions{})
	must(t, err)
	followChanges(t, cluster.Kubeconfig, "default", func(round int) {
		if round != 2 {
			return
		}
		restart(t, "--data-dir", cluster.DataDir)
		// Each write is a chance to compact: an hour of changes is a moment here.
		until(t, "compaction", func(ctx context.Context) bool {
			marker := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "marker-"}}
			if _, err := maps.Create(ctx, marker, metav1.CreateOptions{}); err != nil {
				return false
			}
			watch, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: before.ResourceVersion})
			if err != nil {
				return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
			}
			defer watch.Stop()
			event := <-watch.ResultChan()
			return event.Type == "ERROR" && apierrors.IsResourceExpired(apierrors.FromObject(event.Object))
		})
	})
}

// followChanges makes changes in a namespace, round by round, and holds what twenty informers see against them.
func followChanges(t *testing.T, kubeconfig, space string, after func(round int)) {
	t.Helper()
	client := clientsetOf(t, kubeconfig)
	stories := make([]*story, 20)
	for i := range stories {
		seen := &story{states: map[string]string{}}
		stories[i] = seen
		// Each with a client, and so a connection, of its own.
		factory := informers.NewSharedInformerFactoryWithOptions(clientsetOf(t, kubeconfig), 0, informers.WithNamespace(space),
			informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "seen=yes" }))
		informer := factory.Core().V1().ConfigMaps().Informer()
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { seen.saw("added", object) },
			UpdateFunc: func(_, object any) { seen.saw("updated", object) },
			DeleteFunc: func(object any) { seen.saw("deleted", object) },
		})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(inTime(t).Done())
	}
	wished := map[string]string{}
	change := func(round int) {
		for i := range 10 {
			name, state := fmt.Sprintf("map-%d", i), fmt.Sprintf("%d", round)
			object := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"seen": "yes"}},
				Data:       map[string]string{"n": state},
			}
			// A server that is away refuses connections; the write is made when it is back.
			until(t, "a write", func(ctx context.Context) bool {
				_, err := client.CoreV1().ConfigMaps(space).Update(ctx, object, metav1.UpdateOptions{})
				if err != nil {
					_, err = client.CoreV1().ConfigMaps(space).Create(ctx, object, metav1.CreateOptions{})
				}
				return err == nil
			})
			wished[name] = state
		}
	}
	for round := range 6 {
		change(round)
		after(round)
		must(t, client.CoreV1().ConfigMaps(space).Delete(inTime(t), "map-3", metav1.DeleteOptions{}))
		delete(wished, "map-3")
	}
	for i, seen := range stories {
		until(t, fmt.Sprintf("the whole story of informer %d", i), func(context.Context) bool { return seen.has(wished) })
		if len(seen.wrong) > 0 {
			t.Errorf("informer %d: %v", i, seen.wrong)
		}
	}
}

// restart starts the API server of a cluster anew.
func restart(t *testing.T, options ...string) {
	t.Helper()
	words := append([]string{"restart", "apiserver"}, options...)
	told, err := exec.CommandContext(inTime(t), program(t), words...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, told)
	}
}

func TestDiscoveryMapsKindsForTheDynamicClient(t *testing.T) {
	client := clientset(t)
	space := namespace(t, client)
	groups, err := restmapper.GetAPIGroupResources(client.Discovery())
	must(t, err)
	mapping, err := restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"})
	must(t, err)
	anything, err := dynamic.NewForConfig(config(t))
	must(t, err)
	ingresses := anything.Resource(mapping.Resource).Namespace(space)
	watch, err := ingresses.Watch(inTime(t), metav1.ListOptions{})
	must(t, err)
	defer watch.Stop()
	ingress := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": map[string]any{"name": "door", "labels": map[string]any{"a": "b"}},
		"spec": map[string]any{"defaultBackend": map[string]any{"service": map[string]any{"name": "web", "port": map[string]any{"number": int64(80)}}}},
	}}
	_, err = ingresses.Create(inTime(t), ingress, metav1.CreateOptions{})
	must(t, err)
	must(t, ingresses.DeleteCollection(inTime(t), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: labels.Set{"a": "b"}.String()}))
	for _, wished := range []string{"ADDED", "DELETED"} {
		select {
		case event := <-watch.ResultChan():
			if string(event.Type) != wished {
				t.Fatalf("%s instead of %s: %v", event.Type, wished, event.Object)
			}
		case <-inTime(t).Done():
			t.Fatalf("no %s", wished)
		}
	}
}

func TestTheSecondOfTwoCandidatesLeadsWhenTheFirstLeaves(t *testing.T) {
	client := clientset(t)
	space := namespace(t, client)
	leads := make(chan string, 2)
	candidate := func(name string) context.CancelFunc {
		ctx, cancel := context.WithCancel(t.Context())
		lock, err := resourcelock.New(resourcelock.LeasesResourceLock, space, "leader", client.CoreV1(), client.CoordinationV1(),
			resourcelock.ResourceLockConfig{Identity: name})
		must(t, err)
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 200 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads <- name },
				OnStoppedLeading: func() {},
			},
		})
		must(t, err)
		go elector.Run(ctx)
		t.Cleanup(cancel)
		return cancel
	}
	expect := func(name string) {
		select {
		case leader := <-leads:
			if leader != name {
				t.Fatalf("%s leads, not %s", leader, name)
			}
		case <-inTime(t).Done():
			t.Fatalf("%s never leads", name)
		}
	}
	leave := candidate("first")
	expect("first")
	candidate("second")
	leave()
	expect("second")
}
