//! A chart of many kinds, applied twice: what is there already stays as it is.

use crate::scene::{Kubectl, end, wishes};
use std::collections::BTreeMap;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/chart.yaml");
/// Kinds of the chart in whose objects nobody but their author writes.
const QUIET: &str =
    "configmap,secret,serviceaccount,limitrange,role,rolebinding,service,ingress,networkpolicy,podtemplate,lease";
const VERSIONS: &str =
    "-o=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
const GENERATIONS: &str = "-o=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}{\"\\n\"}{end}";

fn told(kubectl: &Kubectl, words: &[&str]) -> BTreeMap<String, String> {
    let lines = kubectl.run_with(words);
    let pairs = lines.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, said)| (name.to_owned(), said.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_many_kinds_is_applied_twice_from_either_side() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    for side in ["", "--server-side "] {
        let apply = format!("apply {side}-f {CHART}");
        let first = kubectl.run(&apply);
        let objects = first.lines().count();
        assert!(objects > 35, "{first}");
        assert!(first.lines().all(|line| line.ends_with("created") || line.ends_with("serverside-applied")), "{first}");
        kubectl.run("rollout status deployment/front statefulset/db daemonset/agent -n shop --timeout=60s");
        kubectl.run("wait --for=condition=Complete job/migrate -n shop --timeout=60s");
        kubectl.run("wait --for=condition=Established crd/carts.shop.example.com --timeout=60s");
        kubectl.create(
            r#"{"apiVersion": "shop.example.com/v1", "kind": "Cart", "metadata": {"name": "one", "namespace": "shop"},
                "spec": {"size": 2, "items": [{"name": "a"}]}}"#,
        );
        assert_eq!(
            kubectl.run_with(&["get", "ct", "one", "-n", "shop", "-o=jsonpath={.spec.colour} {.spec.items[0].count}"]),
            "red 1"
        );
        let quiet = ["get", QUIET, "-n", "shop", VERSIONS];
        let all = ["get", "-f", CHART, GENERATIONS];
        let (generations, versions) = (told(&kubectl, &all), told(&kubectl, &quiet));
        assert_eq!(generations.len(), objects);
        let again = kubectl.run(&apply);
        assert!(!again.contains("created"), "{again}");
        assert_eq!(told(&kubectl, &all), generations);
        if !side.is_empty() {
            // From the client's side kubectl writes its lists anew where the server has completed them.
            assert_eq!(told(&kubectl, &quiet), versions);
        }
        let diff = kubectl.output(&format!("diff {side}-f {CHART}"));
        assert_eq!(diff.status.code(), Some(0), "{}", String::from_utf8_lossy(&diff.stdout));
        // The namespace goes first, and takes some of the others along before it is their turn.
        kubectl.run(&format!("delete -f {CHART} --ignore-not-found --timeout=60s"));
        for gone in ["namespace/shop", "crd/carts.shop.example.com", "priorityclass/shop-high"] {
            assert!(kubectl.fails(&format!("get {gone}")).contains("NotFound"), "{gone}");
        }
    }
    end(cluster).await;
}
