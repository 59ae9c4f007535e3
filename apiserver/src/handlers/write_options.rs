//! The options of a write, from its query: read and judged once.

use super::patch;
use crate::codec::body::Validation;
use crate::request::{Call, Verb};
use crate::schema::go;
use crate::validation::field::{self, Errors, Path};
use crate::validation::metadata::{self, MANAGER_BYTES_MAX};
use http::header::USER_AGENT;
use serde_json::json;
use smol_str::SmolStr;
use tinyplane_wire::status::{self, Cause, Status};

/// How a write is meant.
#[derive(Clone, Debug)]
pub(super) struct WriteOptions {
    /// What happens to fields that are unknown or double.
    pub(super) validation: Validation,
    /// Everything but the write itself.
    pub(super) dry_run: bool,
    /// By which name the author manages fields: as said, or else as its user agent begins. May be empty.
    pub(super) manager: SmolStr,
    /// Whether an apply takes fields from others.
    pub(super) force: bool,
}

impl WriteOptions {
    /// Insists that the options of a write are right. Those of a read are not judged, and a deletion judges its own, which
    /// may come in its body.
    ///
    /// # Errors
    /// 422, with all that is wrong.
    pub(super) fn judge(call: &Call) -> status::Result<()> {
        let kind = match call.verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            Verb::Patch => "PatchOptions",
            _ => return Ok(()),
        };
        let mut causes = Vec::new();
        let query = &call.query;
        let manager = query.text("fieldManager");
        if kind == "PatchOptions" {
            let applies = patch::applies(call);
            if applies && manager.is_empty() {
                causes.push(cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager"));
            }
            if !applies && query.first("force").is_some() {
                causes.push(cause(
                    "FieldValueForbidden",
                    "Forbidden: may not be specified for non-apply patch",
                    "force",
                ));
            }
        }
        let mut errors = Errors::default();
        metadata::manager(manager, &Path::root("fieldManager"), &mut errors);
        causes.extend(errors.into_causes());
        let words: Vec<&str> = query.all("dryRun").collect();
        if words.iter().any(|word| *word != "All") {
            let told = format!("Unsupported value: {}: supported values: \"All\"", field::shown(&json!(words)));
            causes.push(cause("FieldValueNotSupported", &told, "dryRun"));
        }
        let validation = query.text("fieldValidation");
        if Validation::named(validation).is_none() {
            let told = format!(
                "Unsupported value: {}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
                go::quote(validation)
            );
            causes.push(cause("FieldValueNotSupported", &told, "fieldValidation"));
        }
        if causes.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", kind, "", causes)) }
    }

    /// Reads the options of a call, unjudged.
    pub(super) fn plain(call: &Call) -> Self {
        let query = &call.query;
        let said = query.text("fieldManager");
        Self {
            validation: Validation::named(query.text("fieldValidation")).unwrap_or(Validation::Warn),
            dry_run: query.first("dryRun").is_some(),
            manager: if said.is_empty() { agent(call) } else { said.into() },
            force: query.flag("force"),
        }
    }
}

fn cause(reason: &str, message: &str, field: &str) -> Cause {
    Cause { reason: reason.to_owned(), message: message.to_owned(), field: field.to_owned() }
}

/// The program's name in the user agent: what stands before the first slash.
fn agent(call: &Call) -> SmolStr {
    let agent = call.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let agent = agent.unwrap_or_default();
    let name = agent.split('/').next().unwrap_or_default();
    let mut out = String::with_capacity(name.len().min(MANAGER_BYTES_MAX));
    for one in name.chars().filter(|one| go::is_printable(*one)) {
        if out.len() + one.len_utf8() > MANAGER_BYTES_MAX {
            break;
        }
        out.push(one);
    }
    out.into()
}
