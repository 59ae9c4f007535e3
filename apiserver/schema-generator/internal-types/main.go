// Prints ../../src/validation/internal/types.txt: upstream's types without versions, which Go's reflection knows and no
// document tells. `./run` brings their modules.
package main

import (
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"unicode"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/certificates"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/flowcontrol"
	"k8s.io/kubernetes/pkg/apis/networking"
	"k8s.io/kubernetes/pkg/apis/rbac"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/storage"
)

const head = `# Upstream's types without versions, as far as messages show values of them: each with its fields in the order of Go.
# Printed by apiserver/schema-generator/internal-types/run.
#   Name[=json][:shape]     the name in Go and, where it does not follow from that, in JSON; ` + "`^json`" + ` lies beside the value
#   name?[:shape]           a type with names for JSON, of which what is empty is left out
#   @json:Type              fields that Go embeds and JSON has in an object of their own
# Shapes: none for text, ` + "`*` a pointer, `[]` a list, `{}`" + ` a map, int, bool, quantity, time, json, and the types of this file.
`

// The values that messages show, each beside its like in a version, whose tags tell the names in JSON.
var roots = [][2]any{
	{metav1.ObjectMeta{}, metav1.ObjectMeta{}},
	{core.PodTemplateSpec{}, corev1.PodTemplateSpec{}},
	{core.PersistentVolumeSource{}, corev1.PersistentVolumeSource{}},
	{core.PersistentVolumeClaimSpec{}, corev1.PersistentVolumeClaimSpec{}},
	{core.Taint{}, corev1.Taint{}},
	{core.NodeAddress{}, corev1.NodeAddress{}},
	{core.ScopeSelector{}, corev1.ScopeSelector{}},
	{core.VolumeNodeAffinity{}, corev1.VolumeNodeAffinity{}},
	{core.PodIP{}, corev1.PodIP{}},
	{core.EventSource{}, corev1.EventSource{}},
	{certificates.CertificateSigningRequestCondition{}, certificatesv1.CertificateSigningRequestCondition{}},
	{batch.SuccessPolicy{}, batchv1.SuccessPolicy{}},
	{batch.PodFailurePolicy{}, batchv1.PodFailurePolicy{}},
	{apps.DeploymentStrategy{}, appsv1.DeploymentStrategy{}},
	{apps.DaemonSetUpdateStrategy{}, appsv1.DaemonSetUpdateStrategy{}},
	{apps.StatefulSetUpdateStrategy{}, appsv1.StatefulSetUpdateStrategy{}},
	{resource.ResourceClaimSpec{}, resourcev1.ResourceClaimSpec{}},
	{resource.ResourceClaimTemplateSpec{}, resourcev1.ResourceClaimTemplateSpec{}},
	{resource.AllocationResult{}, resourcev1.AllocationResult{}},
	{resource.DeviceAttribute{}, resourcev1.DeviceAttribute{}},
	{networking.ServiceCIDRSpec{}, networkingv1.ServiceCIDRSpec{}},
	{flowcontrol.FlowSchemaSpec{}, flowcontrolv1.FlowSchemaSpec{}},
	{flowcontrol.PriorityLevelConfigurationSpec{}, flowcontrolv1.PriorityLevelConfigurationSpec{}},
	{networking.ParentReference{}, networkingv1.ParentReference{}},
	{storage.CSINodeDriver{}, storagev1.CSINodeDriver{}},
	{storage.VolumeAttachmentSpec{}, storagev1.VolumeAttachmentSpec{}},
	{storage.TokenRequest{}, storagev1.TokenRequest{}},
	{rbac.RoleRef{}, rbacv1.RoleRef{}},
	{apiextensions.CustomResourceDefinitionVersion{}, apiextensionsv1.CustomResourceDefinitionVersion{}},
}

// Fields by the names of their types.
var found = map[string][]string{
	// Made where a device is looked at, of what names it.
	"SharedDeviceID": {"Driver", "Pool", "Device", "ShareID"},
}

// What a pod has in its spec, and upstream's own types in the security context within.
var beside = regexp.MustCompile(`^(HostNetwork|HostPID|HostIPC|ShareProcessNamespace|HostUsers)\b`)

func main() {
	for _, root := range roots {
		walk(reflect.TypeOf(root[0]), reflect.TypeOf(root[1]))
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Print(head)
	for _, name := range names {
		wrap(append([]string{name}, found[name]...))
	}
}

func wrap(words []string) {
	line := words[0]
	for _, word := range words[1:] {
		if len(line)+1+len(word) > 118 {
			fmt.Println(line)
			line = ""
		}
		line += " " + word
	}
	fmt.Println(line)
}

// The shape of a field's type, beside its like in a version.
func shape(of, versioned reflect.Type) string {
	element := func(kind reflect.Kind) reflect.Type {
		if versioned != nil && versioned.Kind() == kind {
			return versioned.Elem()
		}
		return nil
	}
	switch of.String() {
	case "resource.Quantity":
		return "quantity"
	case "intstr.IntOrString":
		return "int"
	case "v1.Time":
		return "time"
	case "*v1.FieldsV1", "runtime.RawExtension", "*runtime.RawExtension":
		return "json"
	}
	switch kind := of.Kind(); kind {
	case reflect.Interface:
		return "json"
	case reflect.Pointer:
		if like := element(kind); like != nil {
			return "*" + shape(of.Elem(), like)
		}
		return "*" + shape(of.Elem(), versioned)
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + shape(of.Elem(), element(kind))
	case reflect.Map:
		return "{}" + shape(of.Elem(), element(kind))
	case reflect.Struct:
		walk(of, versioned)
		return of.Name()
	case reflect.String:
		return ""
	case reflect.Bool:
		return "bool"
	default:
		return "int"
	}
}

func walk(of, versioned reflect.Type) {
	if _, known := found[of.Name()]; known {
		return
	}
	found[of.Name()] = nil
	likes := map[string]reflect.StructField{}
	if versioned != nil && versioned.Kind() == reflect.Pointer {
		versioned = versioned.Elem()
	}
	if versioned != nil && versioned.Kind() == reflect.Struct {
		flatten(versioned, likes)
	}
	found[of.Name()] = fields(of, likes)
}

func fields(of reflect.Type, likes map[string]reflect.StructField) (all []string) {
	for at := range of.NumField() {
		field := of.Field(at)
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if field.Anonymous && field.Type.Name() == "ObjectMeta" {
			all = append(all, "@metadata:ObjectMeta")
			continue
		}
		if field.Anonymous && name == "" {
			all = append(all, fields(field.Type, likes)...)
			continue
		}
		json := lowered(field.Name)
		like, isThere := likes[field.Name]
		if isThere && like.Tag.Get("json") != "" {
			json, _, _ = strings.Cut(like.Tag.Get("json"), ",")
		}
		word := name
		switch {
		case tag != "" && strings.Contains(tag, "omitempty"):
			word += "?"
		case tag == "" && of.Name() == "PodSecurityContext" && beside.MatchString(field.Name):
			word = field.Name + "=^" + strings.ToLower(field.Name[:1]) + field.Name[1:]
		case tag == "" && json != lowered(field.Name):
			word = field.Name + "=" + json
		case tag == "":
			word = field.Name
		}
		if shape := shape(field.Type, like.Type); shape != "" {
			word += ":" + shape
		}
		all = append(all, word)
	}
	return all
}

// The fields of a type and of what it embeds, by their names in Go.
func flatten(of reflect.Type, into map[string]reflect.StructField) {
	for at := range of.NumField() {
		field := of.Field(at)
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); field.Anonymous && name == "" {
			flatten(field.Type, into)
		} else {
			into[field.Name] = field
		}
	}
}

// How names in JSON follow from those in Go: as `lowered` beside the table has it.
func lowered(name string) string {
	capitals := strings.IndexFunc(name, func(letter rune) bool { return !unicode.IsUpper(letter) })
	switch {
	case capitals < 0:
		return strings.ToLower(name)
	case capitals > 1:
		capitals--
	}
	return strings.ToLower(name[:capitals]) + name[capitals:]
}
