//! Custom resources, from the definition to its end, with kubectl.

use crate::scene::{Kubectl, Running, end, wishes};
use tinyplane::{Member, Storage};

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Phase, type: string, jsonPath: .status.phase}
    selectableFields: [{jsonPath: .spec.color}]
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            description: What is wished.
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How many.}
              color: {type: string, enum: [red, green], default: red}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, count: {type: integer}}}
          status: {type: object, properties: {phase: {type: string}, size: {type: integer}}}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn widget(name: &str, rest: &str) -> String {
    format!("apiVersion: shop.example.com/v1\nkind: Widget\nmetadata: {{name: {name}}}\n{rest}\n")
}

fn defined(kubectl: &Kubectl) {
    kubectl.create(DEFINITION);
    kubectl.run("wait --for=condition=Established crd/widgets.shop.example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_resource_is_served_like_any_other() {
    let cluster = wishes().nodes(0).storage(Storage::Sled).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    defined(&kubectl);
    kubectl.create(&widget("a", "spec: {size: 2, parts: [{name: x, count: 1}]}"));
    assert!(kubectl.run("get all").contains("widget.shop.example.com/a"));
    assert!(kubectl.run("explain widget.spec.size").contains("How many."));
    assert!(kubectl.run("api-resources --api-group=shop.example.com").contains("widgets   wd"));
    let row = || kubectl.run("get wd a --no-headers").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(row(), ["a", "2"]);
    kubectl.run("scale widget/a --replicas=4");
    kubectl.run_with(&[
        "patch",
        "widget",
        "a",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"phase":"Ready"}}"#,
    ]);
    assert_eq!(row(), ["a", "4", "Ready"]);
    assert_eq!(kubectl.run_with(&["get", "wd", "a", "-o", "jsonpath={.metadata.generation} {.spec.color}"]), "2 red");
    assert_eq!(kubectl.run("get wd --field-selector spec.color=green -o name"), "");
    assert_eq!(kubectl.run("get wd --field-selector spec.color=red -o name"), "widget.shop.example.com/a\n");
    let old = kubectl.output("get widgets.v1beta1.shop.example.com a -o yaml");
    assert!(String::from_utf8_lossy(&old.stdout).contains("apiVersion: shop.example.com/v1beta1"));
    let warned = String::from_utf8_lossy(&old.stderr).into_owned();
    assert!(warned.contains("Warning: shop.example.com/v1beta1 Widget is deprecated"), "{warned}");
    cluster.kill(Member::Apiserver).await.expect("it can be killed");
    cluster.restart(Member::Apiserver).await.expect("it comes back");
    assert_eq!(row(), ["a", "4", "Ready"]);
    assert_eq!(kubectl.run("get wd --field-selector spec.color=red -o name"), "widget.shop.example.com/a\n");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_its_schema_is_refused() {
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    defined(&kubectl);
    let refused = |rest: &str, options: &[&str]| {
        let arguments = [&["create", "-f", "-"], options].concat();
        let output = kubectl.feed(&arguments, widget("b", rest).as_bytes());
        assert!(!output.status.success(), "{rest} is taken");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (rest, told) in [
        ("spec: {}", "spec.size: Required value"),
        ("spec: {size: 0}", "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ("spec: {size: x}", "spec.size in body must be of type integer: \"string\""),
        ("spec: {size: 1, color: blue}", "Unsupported value: \"blue\": supported values: \"red\", \"green\""),
        ("spec: {size: 1, parts: [{name: x}, {name: x}]}", "spec.parts[1]: Duplicate value: {\"name\":\"x\"}"),
    ] {
        let said = refused(rest, &["--validate=ignore"]);
        assert!(said.contains(told), "{rest}: {said}");
    }
    let strict = refused("spec: {size: 1, sise: 2}", &["--validate=strict"]);
    assert!(strict.contains("strict decoding error: unknown field \"spec.sise\""), "{strict}");
    kubectl.create(&widget("c", "spec: {size: 1}"));
    let patched = kubectl.fails("patch wd c --type=strategic -p {}");
    assert!(patched.contains("strategic-merge-patch+json is not supported by"), "{patched}");
    let fought = {
        let file = kubectl.folder().join("c.yaml");
        std::fs::write(&file, widget("c", "spec: {size: 7}")).expect("it can be written");
        kubectl.fails(&format!("apply --server-side --field-manager=other -f {}", file.display()))
    };
    assert!(fought.contains(".spec.size"), "{fought}");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_namespaces_and_definitions_take_custom_objects_along() {
    let cluster = wishes().nodes(0).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    defined(&kubectl);
    kubectl.create(&widget("owner", "spec: {size: 1}"));
    let uid = kubectl.run_with(&["get", "wd", "owner", "-o", "jsonpath={.metadata.uid}"]);
    let owner =
        format!("ownerReferences: [{{apiVersion: shop.example.com/v1, kind: Widget, name: owner, uid: {uid}}}]");
    kubectl.create(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: owned, {owner}}}\n"));
    kubectl.create(&format!(
        "apiVersion: shop.example.com/v1\nkind: Widget\nmetadata: {{name: owned, {owner}}}\nspec: {{size: 1}}\n"
    ));
    kubectl.run("delete wd owner");
    kubectl.run("wait --for=delete configmap/owned widget/owned");
    kubectl.run("create namespace team");
    kubectl.feed(&["create", "-n", "team", "-f", "-"], widget("inside", "spec: {size: 1}").as_bytes());
    assert_eq!(kubectl.run("get wd -A -o name"), "widget.shop.example.com/inside\n");
    kubectl.run("delete namespace team");
    assert_eq!(kubectl.run("get wd -A -o name"), "");
    kubectl.create(
        "apiVersion: shop.example.com/v1\nkind: Widget\nmetadata: {name: held, finalizers: [shop.example.com/held]}\nspec: {size: 1}\n",
    );
    let mut watching = Running::of(&mut kubectl.command(&["get", "wd", "--watch", "-o", "name"]));
    watching.sees("widget.shop.example.com/held");
    kubectl.run("delete crd widgets.shop.example.com --wait=false");
    kubectl.run("wait --for=condition=Terminating crd/widgets.shop.example.com");
    let late = kubectl.feed(&["create", "-f", "-"], widget("late", "spec: {size: 1}").as_bytes());
    let late = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(late.contains("create not allowed while custom resource definition is terminating"), "{late}");
    kubectl.run_with(&["patch", "wd", "held", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    kubectl.run("wait --for=delete crd/widgets.shop.example.com");
    watching.ends();
    let gone = kubectl.fails("get wd");
    assert!(gone.contains("doesn't have a resource type") || gone.contains("NotFound"), "{gone}");
    end(cluster).await;
}
