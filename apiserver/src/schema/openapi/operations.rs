//! The paths of a document: for each resource and subresource what can be done, with which parameters and bodies.

use super::names::{camel, capital, tag};
use super::published::tells_deleted;
use super::{GroupVersion, Resource, Subresource, custom, schemas::reference};
use crate::schema::model::Model;
use serde_json::{Map, Value, json};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// In which letters built-in objects come and go.
const TYPED: &[&str] = &[JSON, YAML, PROTOBUF];
/// The same of objects that have no Go type.
const UNTYPED: &[&str] = &[JSON, YAML];
/// What a list of built-in objects may be asked for as: it may be watched as well.
const LISTED: &[&str] =
    &[JSON, YAML, PROTOBUF, "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const LIST: &[(&str, &str)] = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("shardSelector", "string"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const WRITE: &[(&str, &str)] = &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const DELETE: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const PATCH_TYPES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
const EXEC: &[(&str, &str)] = &[
    ("command", "string"),
    ("container", "string"),
    ("stderr", "boolean"),
    ("stdin", "boolean"),
    ("stdout", "boolean"),
    ("tty", "boolean"),
];
const LOG: &[(&str, &str)] = &[
    ("container", "string"),
    ("follow", "boolean"),
    ("insecureSkipTLSVerifyBackend", "boolean"),
    ("limitBytes", "integer"),
    ("previous", "boolean"),
    ("sinceSeconds", "integer"),
    ("stream", "string"),
    ("tailLines", "integer"),
    ("timestamps", "boolean"),
];
const PATH_WORDS: [(&str, &str); 3] = [("{namespace}", "namespace"), ("{name}", "name"), ("{path}", "path")];

/// What an operation is about.
struct Subject<'a> {
    group_version: &'a GroupVersion,
    resource: &'a Resource,
    subresource: Option<&'a Subresource>,
    /// The schema of its body and answer.
    schema: Option<&'a str>,
    namespaced: bool,
}

/// All paths of a group version.
pub(super) fn paths(model: &Model, group_version: &GroupVersion) -> Value {
    let base = format!("/{}/", group_version.path());
    let mut paths = Map::new();
    if !group_version.is_custom() {
        let list = Gives::Object(format!("{META}.APIResourceList"));
        let id = format!("get{}APIResources", camel(group_version));
        paths.insert(base.clone(), json!({"get": lone(&tag(group_version), &id, &list)}));
    }
    for resource in &group_version.resources {
        let (group, version) = (&group_version.group, &group_version.version);
        let named = resource.custom.as_ref().map(|_| custom::name(group_version, &resource.kind));
        let of_model = |group: &str, version: &str, kind: &str| {
            let known = model.kind(group, version, kind).map(|id| model.get(id).name.as_str());
            known.or_else(|| named.as_deref().filter(|_| kind == resource.kind))
        };
        let schema = of_model(group, version, &resource.kind);
        let subject = Subject { group_version, resource, subresource: None, schema, namespaced: resource.namespaced };
        let home = if resource.namespaced { format!("{base}namespaces/{{namespace}}/") } else { base.clone() };
        let plural = &resource.plural;
        add(&mut paths, format!("{home}{plural}"), subject.collection());
        add(&mut paths, format!("{home}{plural}/{{name}}"), subject.item());
        if resource.namespaced {
            add(&mut paths, format!("{base}{plural}"), subject.everywhere());
        }
        if resource.custom.is_none() && subject.can("watch") {
            let home = home.replacen(&base, &format!("{base}watch/"), 1);
            add(&mut paths, format!("{home}{plural}"), subject.watch("watchlist", "List"));
            add(&mut paths, format!("{home}{plural}/{{name}}"), subject.watch("watch", ""));
            if resource.namespaced {
                let across = Subject { namespaced: false, ..subject };
                add(&mut paths, format!("{base}watch/{plural}"), across.watch("watchlist", "ListForAllNamespaces"));
            }
        }
        for subresource in &resource.subresources {
            let (group, version, kind) = &subresource.kind;
            let schema = of_model(group, version, kind);
            let below = Subject {
                group_version,
                resource,
                subresource: Some(subresource),
                schema,
                namespaced: resource.namespaced,
            };
            let path = format!("{home}{plural}/{{name}}/{}", subresource.name);
            if kind.ends_with("Options") {
                if kind.ends_with("ProxyOptions") {
                    add(&mut paths, format!("{path}/{{path}}"), below.connect("WithPath"));
                }
                add(&mut paths, path, below.connect(""));
            } else {
                add(&mut paths, path, below.item());
            }
        }
    }
    Value::Object(paths)
}

/// Adds a path with what its words mean, where anything can be done there.
fn add(paths: &mut Map<String, Value>, path: String, operations: Map<String, Value>) {
    if operations.is_empty() {
        return;
    }
    let words = PATH_WORDS.iter().filter(|(word, _)| path.contains(word)).map(|(_, name)| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}})
    });
    let mut parameters: Vec<Value> = words.collect();
    if operations.values().any(|operation| operation["x-kubernetes-action"] != "connect") {
        parameters.push(parameter("pretty", "string"));
    }
    let mut item = operations;
    parameters.extend(shared(&mut item));
    parameters.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    item.insert("parameters".to_owned(), parameters.into());
    paths.insert(path, Value::Object(item));
}

/// Takes the parameters that all operations of a path have out of them.
fn shared(operations: &mut Map<String, Value>) -> Vec<Value> {
    let of = |operation: &Value| operation["parameters"].as_array().cloned().unwrap_or_default();
    let mut common = operations.values().next().map(of).unwrap_or_default();
    for operation in operations.values().skip(1) {
        let known = of(operation);
        common.retain(|parameter| known.contains(parameter));
    }
    for operation in operations.values_mut() {
        let left: Vec<Value> = of(operation).into_iter().filter(|one| !common.contains(one)).collect();
        if !left.is_empty() {
            operation["parameters"] = left.into();
        } else if let Some(operation) = operation.as_object_mut() {
            operation.remove("parameters");
        }
    }
    common
}

impl Subject<'_> {
    fn can(&self, verb: &str) -> bool {
        let verbs = self.subresource.map_or(&self.resource.verbs, |subresource| &subresource.verbs);
        verbs.iter().any(|found| found == verb)
    }

    /// `.../pods` of one namespace, or of all where there are none.
    fn collection(&self) -> Map<String, Value> {
        let mut operations = Map::new();
        if self.can("list") {
            operations.insert("get".to_owned(), self.list(""));
        }
        if self.can("create") {
            operations.insert("post".to_owned(), self.create());
        }
        if self.can("deletecollection") {
            let mut parameters: Vec<(&str, &str)> = [DELETE, &LIST[1..LIST.len() - 1]].concat();
            parameters.sort_unstable();
            let mut body = Some(self.body(&format!("{META}.DeleteOptions"), false));
            // Of a custom resource nobody says how its objects are deleted together.
            if self.resource.custom.is_some() {
                (parameters, body) = (LIST.to_vec(), None);
            }
            let status = format!("{META}.Status");
            let operation = self.operation("deletecollection", "delete", "Collection", "", &parameters);
            let operation = with(operation, body, &[("200", &status, self.media())]);
            operations.insert("delete".to_owned(), operation);
        }
        operations
    }

    /// `.../pods` across namespaces.
    fn everywhere(&self) -> Map<String, Value> {
        let across = Subject { namespaced: false, ..*self };
        let list = across.can("list").then(|| ("get".to_owned(), across.list("ForAllNamespaces")));
        list.into_iter().collect()
    }

    /// One object, or a subresource of it.
    fn item(&self) -> Map<String, Value> {
        let mut operations = Map::new();
        let schema = self.schema.unwrap_or_default();
        if self.can("get") {
            let is_log = self.subresource.is_some_and(|subresource| subresource.name == "log");
            let parameters = match self.resource.custom {
                _ if is_log => LOG,
                Some(_) => &[("resourceVersion", "string")],
                None => &[],
            };
            let operation = self.operation("get", "read", "", "", parameters);
            let operation = if is_log {
                text(operation, &["text/plain", JSON, YAML, PROTOBUF])
            } else {
                with(operation, None, &[("200", schema, self.media())])
            };
            operations.insert("get".to_owned(), operation);
        }
        if self.subresource.is_some() && self.can("create") {
            operations.insert("post".to_owned(), self.create());
        }
        if self.can("update") {
            let operation = self.operation("put", "replace", "", "", WRITE);
            let answers: &[Answer<'_>] = &[("200", schema, self.media()), ("201", schema, self.media())];
            operations.insert("put".to_owned(), with(operation, Some(self.body(schema, true)), answers));
        }
        if self.can("patch") {
            let parameters = [WRITE, &[("force", "boolean")]].concat();
            let operation = self.operation("patch", "patch", "", "", &parameters);
            let patch = reference(&format!("{META}.Patch"));
            // Of what has no Go type nobody knows how its lists merge.
            let patches = PATCH_TYPES.len() - usize::from(self.resource.custom.is_some());
            let content: Map<String, Value> =
                PATCH_TYPES[..patches].iter().map(|media| ((*media).to_owned(), json!({"schema": patch}))).collect();
            let answers: &[Answer<'_>] = &[("200", schema, self.media()), ("201", schema, self.media())];
            let answers = &answers[..answers.len() - usize::from(self.resource.custom.is_some())];
            let body = json!({"content": content, "required": true});
            operations.insert("patch".to_owned(), with(operation, Some(body), answers));
        }
        if self.can("delete") {
            let operation = self.operation("delete", "delete", "", "", DELETE);
            let status = format!("{META}.Status");
            let body = self.body(&format!("{META}.DeleteOptions"), false);
            let returned = self.resource.returns_deleted && tells_deleted(schema);
            let answered = if returned { schema } else { &status };
            let answers: &[Answer<'_>] = &[("200", answered, self.media()), ("202", answered, self.media())];
            operations.insert("delete".to_owned(), with(operation, Some(body), answers));
        }
        operations
    }

    /// A connection: every verb is the same act.
    fn connect(&self, suffix: &str) -> Map<String, Value> {
        let methods: &[(&str, &str, &str)] = &[
            ("create", "post", "Post"),
            ("delete", "delete", "Delete"),
            ("get", "get", "Get"),
            ("patch", "patch", "Patch"),
            ("update", "put", "Put"),
            ("get", "head", "Head"),
            ("get", "options", "Options"),
        ];
        let kind = self.subresource.map_or("", |subresource| subresource.kind.2.as_str());
        let (parameters, methods): (&[(&str, &str)], _) = match kind {
            "PodExecOptions" => (EXEC, &methods[..5]),
            "PodAttachOptions" => (&EXEC[1..], &methods[..5]),
            "PodPortForwardOptions" => (&[("ports", "integer")], &methods[..5]),
            _ => (&[("path", "string")], methods),
        };
        let connect = |(_, method, name): &(&str, &str, &str)| {
            let operation = self.operation("connect", "connect", name, suffix, parameters);
            ((*method).to_owned(), text(operation, &["*/*"]))
        };
        methods.iter().filter(|(verb, ..)| self.can(verb)).map(connect).collect()
    }

    fn list(&self, suffix: &str) -> Value {
        let schema = match &self.resource.custom {
            Some(custom) => custom::name(self.group_version, &custom.list_kind),
            None => format!("{}List", self.schema.unwrap_or_default()),
        };
        let operation = self.operation("list", "list", "", suffix, LIST);
        let media = if self.resource.custom.is_some() { UNTYPED } else { LISTED };
        with(operation, None, &[("200", &schema, media)])
    }

    /// A watch by a path of its own, as it was done before lists could be watched.
    fn watch(&self, action: &str, suffix: &str) -> Map<String, Value> {
        let operation = self.operation(action, "watch", "", suffix, LIST);
        let event = format!("{META}.WatchEvent");
        [("get".to_owned(), with(operation, None, &[("200", &event, LISTED)]))].into_iter().collect()
    }

    /// In which letters objects come.
    fn media(&self) -> &'static [&'static str] {
        if self.resource.custom.is_some() { UNTYPED } else { TYPED }
    }

    /// What is sent.
    fn body(&self, schema: &str, required: bool) -> Value {
        let media = if self.resource.custom.is_some() { UNTYPED } else { &["*/*"] };
        let content: Map<String, Value> =
            media.iter().map(|media| ((*media).to_owned(), json!({"schema": reference(schema)}))).collect();
        if required { json!({"content": content, "required": true}) } else { json!({"content": content}) }
    }

    fn create(&self) -> Value {
        let schema = self.schema.unwrap_or_default();
        let operation = self.operation("post", "create", "", "", WRITE);
        let answers: &[Answer<'_>] =
            &[("200", schema, self.media()), ("201", schema, self.media()), ("202", schema, self.media())];
        with(operation, Some(self.body(schema, true)), answers)
    }

    /// An operation without body and answers. Its id is `verb`, the group version, `infix`, what it is about, `suffix`.
    fn operation(&self, action: &str, verb: &str, infix: &str, suffix: &str, parameters: &[(&str, &str)]) -> Value {
        let (group, version, kind) = match self.subresource {
            // Of custom resources upstream says the same of all their paths.
            Some(Subresource { kind: (group, version, kind), .. }) if self.resource.custom.is_none() => {
                (group, version, kind)
            }
            _ => (&self.group_version.group, &self.group_version.version, &self.resource.kind),
        };
        let scope = if self.namespaced { "Namespaced" } else { "" };
        let below = self.subresource.map_or(String::new(), |subresource| capital(&subresource.name));
        let name = camel(self.group_version);
        let id = format!("{verb}{name}{infix}{scope}{}{below}{suffix}", self.resource.kind);
        let mut operation = json!({
            "tags": [tag(self.group_version)],
            "operationId": id,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.iter().map(|(name, kind)| parameter(name, kind)).collect();
        }
        operation
    }
}

/// A code, the schema of its answer, and the types in which it comes.
type Answer<'a> = (&'a str, &'a str, &'a [&'a str]);

fn with(mut operation: Value, body: Option<Value>, answers: &[Answer<'_>]) -> Value {
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    let mut responses = json!({"401": {"description": "Unauthorized"}});
    for (code, schema, media) in answers {
        responses[*code] = answer(schema, media);
        let meaning = match *code {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        responses[*code]["description"] = meaning.into();
    }
    operation["responses"] = responses;
    operation
}

/// An operation that answers text.
fn text(mut operation: Value, media: &[&str]) -> Value {
    let content: Map<String, Value> =
        media.iter().map(|media| ((*media).to_owned(), json!({"schema": {"type": "string"}}))).collect();
    operation["responses"] =
        json!({"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}});
    operation
}

fn answer(schema: &str, media: &[&str]) -> Value {
    let content: Map<String, Value> =
        media.iter().map(|media| ((*media).to_owned(), json!({"schema": reference(schema)}))).collect();
    json!({"description": "OK", "content": content})
}

fn parameter(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

/// What an operation without parameters gives.
pub(super) enum Gives {
    /// An object of this schema.
    Object(String),
    /// The same, in JSON alone.
    Json(String),
    /// Text, as it is called here.
    Text(&'static str),
}

/// An operation that is about no resource.
pub(super) fn lone(tag: &str, id: &str, gives: &Gives) -> Value {
    let operation = json!({"tags": [tag], "operationId": id});
    match gives {
        Gives::Object(schema) => with(operation, None, &[("200", schema, TYPED)]),
        Gives::Json(schema) => with(operation, None, &[("200", schema, &[JSON])]),
        Gives::Text(media) => text(operation, &[media]),
    }
}
