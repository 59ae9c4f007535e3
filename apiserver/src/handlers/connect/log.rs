//! `pods/log`: a container's log from its kubelet, passed on as it comes.

use super::{ConnectContext, container, core, node_of, to_kubelet, unforeseen};
use crate::authz::Permitted;
use crate::request::Call;
use crate::streaming::send;
use axum::body::Body;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tinyplane_wire::status::{self, Details, Reason, Status};
use tinyplane_wire::streaming::log_options::PodLogOptions;

/// What is read of a kubelet's refusal.
const REFUSAL_BYTES_MAX: usize = 50_000;

pub(super) async fn serve(
    context: &ConnectContext,
    call: &Permitted<Call>,
    namespace: Option<&str>,
    name: &str,
) -> status::Result<Response<Body>> {
    let options = PodLogOptions::decode(call.query.pairs()).map_err(Status::bad_request)?;
    let causes = options.validate();
    if !causes.is_empty() {
        return Err(Status::invalid("", "PodLogOptions", name, causes));
    }
    let pod = context.lookup.get(&core("pods"), namespace, name).await?;
    let container = container::choose(&pod, &options.container)?;
    let Some(node) = node_of(context, &pod).await? else {
        // A pod that has no node has no log either.
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    };
    let target = context.nodes.target(&node).map_err(|e| unforeseen(&e))?;
    let query = options.kubelet_query();
    let mark = if query.is_empty() { "" } else { "?" };
    let path = format!("/containerLogs/{}/{name}/{container}{mark}{query}", namespace.unwrap_or_default());
    let failed =
        |why: String| Status::failure(Reason::Unknown, format!("Get \"https://{}{path}\": {why}", target.authority()));
    let errand = to_kubelet(call, &node);
    let connected = context.nodes.connect(&errand, &target, options.insecure_skip_tls_verify_backend).await;
    let backend = connected.map_err(|error| failed(error.to_string()))?;
    let request = Request::get(&path).header(HOST, target.authority()).body(Body::empty());
    let request = request.map_err(|error| Status::bad_request(error.to_string()))?;
    let answer = send(backend, request).await.map_err(|error| failed(error.to_string()))?;
    if !(200..=206).contains(&answer.status().as_u16()) {
        return Err(refusal(answer, name).await);
    }
    let mut response = Response::new(Body::new(answer.into_body()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// What a kubelet's refusal is to the client.
async fn refusal(answer: Response<Incoming>, name: &str) -> Box<Status> {
    let code = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), REFUSAL_BYTES_MAX).collect().await;
    let text = match body {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => return Status::internal(error),
    };
    match code {
        500 => Status::internal(text),
        400 => Status::bad_request(text),
        _ => generic(code, name, &text),
    }
}

/// A failure of a server that speaks no `Status`.
fn generic(code: u16, name: &str, text: &str) -> Box<Status> {
    let message = match code {
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => text.to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        422 => "the server rejected our request due to an error in our request".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned()
        }
        _ => format!("the server responded with the status code {code} but did not return more information"),
    };
    let details = Details { name: name.into(), kind: "pods/log".into(), ..Details::default() };
    Status::failure(Reason::of_code(code), format!("{message} ( pods/log {name})"))
        .with_code(code)
        .with_details(details)
}
