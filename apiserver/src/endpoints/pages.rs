//! `/flagz` and `/statusz`: how the server was started and how it is, as a page for people, or as an object for programs
//! that name its kind.

use super::version;
use crate::codec::accept::{self, Media, Page};
use crate::request::Call;
use crate::respond;
use axum::body::Body;
use http::header::{CONTENT_TYPE, WARNING};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use tinyplane_wire::clock::{Clock, format_seconds, utc};
use tinyplane_wire::status;

/// By which name upstream's server calls itself here.
const COMPONENT: &str = "apiserver";
/// Folders of which `/statusz` does not tell: those that serve programs.
const UNTOLD: [&str; 5] = ["/apis", "/api", "/openid", "/openapi", "/.well-known"];
/// The paths that answer.
pub(super) const PATHS: [&str; 2] = ["/flagz", "/statusz"];

/// What the pages tell.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The flags of the server by their names.
    pub flags: BTreeMap<&'static str, String>,
    /// Since when it has been there.
    pub started: SystemTime,
    /// The member's time.
    pub clock: Clock,
}

impl Pages {
    /// The answer to a page's path; `None` for any other. `paths` are all that answer.
    ///
    /// # Errors
    /// A 406 for forms that a page does not have.
    pub(super) fn serve(
        &self,
        call: &Call,
        paths: impl FnOnce() -> Vec<String>,
    ) -> status::Result<Option<Response<Body>>> {
        let kind = match call.path.as_str() {
            "/flagz" => "Flagz",
            "/statusz" => "Statusz",
            _ => return Ok(None),
        };
        let page = match accept::of_page(&call.headers, kind) {
            Ok(page) => page,
            // What can be told in no wished form is told as upstream writes it where it negotiates nothing.
            Err(refused) if accept::of_page_failure(&call.headers).is_none() => {
                return Ok(Some(respond::failure(&refused, None, true)));
            }
            Err(refused) => return Err(refused),
        };
        let folders = || folders(&paths());
        let (media, version, pretty) = match page {
            Page::Text => {
                let text = if kind == "Flagz" { self.flags() } else { self.status(&folders()) };
                return Ok(Some(respond::bytes_of(StatusCode::OK, respond::TEXT, text)));
            }
            Page::Object { media, version, pretty } => (media, version, pretty),
        };
        let mut object = if kind == "Flagz" { json!({"flags": self.flags}) } else { self.status_object(&folders()) };
        object["kind"] = kind.into();
        object["apiVersion"] = format!("config.k8s.io/{version}").into();
        object["metadata"] = json!({"name": COMPONENT});
        let pretty = pretty || respond::wants_pretty(&call.query, &call.headers);
        let mut response = respond::value(StatusCode::OK, &object, media, pretty && media == Media::Json)?;
        let named = format!("{};g=config.k8s.io;v={version};as={kind}", media.name());
        if let Ok(named) = HeaderValue::from_str(&named) {
            response.headers_mut().insert(CONTENT_TYPE, named);
        }
        if version == "v1alpha1" {
            let of = &call.path[1..];
            let told =
                format!("299 - \"This version of the {of} endpoint is deprecated. Please use a newer version.\"");
            if let Ok(told) = HeaderValue::from_str(&told) {
                response.headers_mut().insert(WARNING, told);
            }
        }
        Ok(Some(response))
    }

    fn flags(&self) -> String {
        let mut text = head("flagz");
        for (name, value) in &self.flags {
            text.push_str(&format!("{name}={value}\n"));
        }
        text
    }

    fn uptime_seconds(&self) -> u64 {
        self.clock.now().duration_since(self.started).unwrap_or_default().as_secs()
    }

    fn status(&self, folders: &[String]) -> String {
        let (info, up) = (version::info(), self.uptime_seconds());
        let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
        let (hours, minutes, seconds) = (up / 3_600, up / 60 % 60, up % 60);
        format!(
            "{}\nStarted: {}\nUp: {hours} hr {minutes:02} min {seconds:02} sec\nGo version: {}\nBinary version: {}\nEmulation version: {}\nPaths: {}\n",
            head("statusz"),
            unix_date(self.started),
            text("goVersion"),
            binary_version(),
            emulated(&info),
            folders.join(" "),
        )
    }

    fn status_object(&self, folders: &[String]) -> Value {
        let info = version::info();
        json!({
            "startTime": format_seconds(self.started),
            "uptimeSeconds": self.uptime_seconds(),
            "goVersion": info["goVersion"],
            "binaryVersion": binary_version(),
            "emulationVersion": emulated(&info),
            "paths": folders,
        })
    }
}

fn head(page: &str) -> String {
    format!(
        "\n{COMPONENT} {page}\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n"
    )
}

fn binary_version() -> &'static str {
    version::GIT_VERSION.trim_start_matches('v').split('+').next().unwrap_or_default()
}

fn emulated(info: &Value) -> String {
    let text = |name: &str| info[name].as_str().unwrap_or_default();
    format!("{}.{}", text("emulationMajor"), text("emulationMinor"))
}

/// The first folders of paths that are for people.
fn folders(paths: &[String]) -> Vec<String> {
    let folder = |path: &String| {
        let name = path.split('/').nth(1).filter(|name| !name.is_empty())?;
        Some(format!("/{name}")).filter(|folder| !UNTOLD.contains(&folder.as_str()))
    };
    paths.iter().filter_map(folder).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A time as Unix' `date` writes it.
fn unix_date(at: SystemTime) -> String {
    let at = utc(at);
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    format!("{} {} {:>2} {hour:02}:{minute:02}:{second:02} UTC {}", &weekday[..3], &month[..3], at.day(), at.year())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Ticket;
    use crate::authn::Peer;
    use http::Request;
    use http_body_util::BodyExt;
    use std::time::Duration;

    async fn ask(path: &str, accept: &str) -> (u16, HeaderValue, String) {
        let clock = Clock::system();
        let started = clock.now() - Duration::from_secs(3_725);
        let pages = Pages { flags: BTreeMap::from([("secure-port", "6443".to_owned())]), started, clock };
        let request = Request::builder().uri(path).header("accept", accept).body(()).unwrap();
        let call = Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap();
        let paths = ["/", "/api/v1", "/livez/ping", "/metrics"];
        let response = match pages.serve(&call, || paths.map(str::to_owned).to_vec()) {
            Ok(response) => response.unwrap(),
            Err(status) => respond::failure(&status, accept::of_failure(None), false),
        };
        let (code, kind) = (response.status().as_u16(), response.headers()["content-type"].clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn people_get_text() {
        let (code, kind, flags) = ask("/flagz", "*/*").await;
        assert_eq!((code, kind.to_str().unwrap()), (200, "text/plain; charset=utf-8"));
        assert!(flags.starts_with("\napiserver flagz\nWarning: ") && flags.ends_with("\nsecure-port=6443\n"));
        let (.., status) = ask("/statusz", "").await;
        assert!(status.contains("\nUp: 1 hr 02 min 05 sec\n") && status.ends_with("\nPaths: /livez /metrics\n"));
    }

    #[tokio::test]
    async fn programs_name_the_kind_that_they_read() {
        let (code, named, flags) = ask("/flagz", "application/json;as=Flagz;g=config.k8s.io;v=v1beta1").await;
        assert_eq!(named, "application/json;g=config.k8s.io;v=v1beta1;as=Flagz");
        let flags: Value = serde_json::from_str(&flags).unwrap();
        assert_eq!((code, &flags["flags"]["secure-port"]), (200, &json!("6443")));
        assert_eq!((&flags["kind"], &flags["apiVersion"]), (&json!("Flagz"), &json!("config.k8s.io/v1beta1")));
        assert_eq!(ask("/flagz", "application/json").await.0, 406);
        let (code, kind, told) = ask("/flagz", "application/vnd.kubernetes.protobuf").await;
        assert_eq!((code, kind.to_str().unwrap()), (406, "application/json"));
        assert!(told.starts_with("{\n  \"kind\": \"Status\","), "{told}");
        assert_eq!(ask("/statusz", "application/json;as=Flagz;g=config.k8s.io;v=v1beta1").await.0, 406);
    }

    #[test]
    fn a_date_reads_as_unix_writes_it() {
        assert_eq!(unix_date(SystemTime::UNIX_EPOCH + Duration::from_secs(5)), "Thu Jan  1 00:00:05 UTC 1970");
    }
}
