//! `curl` and `wget`, as far as scripts in pods use them.

use super::http::{Answer, Failure, Target, ask, header, target};
use super::reason;
use crate::runtime::commands::options::{self, Given};
use crate::runtime::files::{How, base_name};
use crate::runtime::machine::{Outcome, Process, Sink, Stop};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use std::time::Duration;
use tinyplane_wire::identity::tls::Trust;

/// Redirects that are followed.
const REDIRECTS_MAX: u32 = 10;

const CURL_LONG: &[(&str, char)] = &[
    ("silent", 's'),
    ("show-error", 'S'),
    ("fail", 'f'),
    ("location", 'L'),
    ("output", 'o'),
    ("remote-name", 'O'),
    ("header", 'H'),
    ("request", 'X'),
    ("data", 'd'),
    ("data-raw", 'd'),
    ("data-binary", 'd'),
    ("head", 'I'),
    ("include", 'i'),
    ("write-out", 'w'),
    ("max-time", 'm'),
    ("connect-timeout", 'T'),
    ("insecure", 'k'),
    ("verbose", 'v'),
    ("user-agent", 'A'),
    ("retry", 'R'),
    ("noproxy", 'N'),
    ("cacert", 'C'),
    ("no-progress-meter", 's'),
];

pub(in crate::runtime::commands) async fn curl(process: &mut Process) -> Outcome {
    let given = match options::parse(
        &process.operands(),
        options::Spec { letters: "sSfLo:OH:X:d:Iiw:m:T:kvA:R:N:C:4g", long: CURL_LONG, stops: false },
    ) {
        Ok(given) => given,
        Err(message) => return process.fail(2, message).await,
    };
    if given.operands.is_empty() {
        return process.fail(2, "no URL specified").await;
    }
    let seconds = given.value('m').and_then(|text| text.parse::<f64>().ok());
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::MAX);
    let quiet = given.has('s') && !given.has('S');
    let mut code = 0;
    for url in &given.operands {
        let outcome = match tokio::time::timeout(limit, curl_one(process, &given, url)).await {
            Ok(outcome) => outcome?,
            Err(_) => Err((28, format!("Operation timed out after {} milliseconds", limit.as_millis()))),
        };
        if let Err((failed, message)) = outcome {
            code = failed;
            if !quiet {
                process.err(format!("curl: ({failed}) {message}\n")).await;
            }
        }
    }
    Ok(code)
}

type Curled = Result<(), (i32, String)>;

async fn curl_one(process: &Process, given: &Given, url: &str) -> Result<Curled, Stop> {
    let mut to = match target(url) {
        Ok(to) => to,
        Err(message) => return Ok(Err((if message.starts_with("protocol") { 1 } else { 3 }, message))),
    };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("curl/8.0-tinyplane"));
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
    let data: Vec<&str> = given.values('d').collect();
    let mut body = Bytes::from(data.join("&"));
    if let Some(path) = data.first().and_then(|text| text.strip_prefix('@')) {
        let source = match process.open_source(path) {
            Ok(source) => source,
            Err(error) => return Ok(Err((26, format!("Failed to open {path}: {error}")))),
        };
        body = process.read_all(&source).await?.into();
    }
    if !data.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    if let Some(agent) = given.value('A').and_then(|agent| HeaderValue::from_str(agent).ok()) {
        headers.insert(USER_AGENT, agent);
    }
    headers.extend(given.values('H').filter_map(header));
    let default = if given.has('I') {
        Method::HEAD
    } else if data.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    let method = given.value('X').and_then(|text| text.parse().ok()).unwrap_or(default);
    let roots = given.value('C').map(|path| process.place.read(path));
    let trust = match roots {
        _ if given.has('k') => Trust::Anybody,
        None => Trust::Roots(String::new()),
        Some(Ok(pem)) => Trust::Roots(String::from_utf8_lossy(&pem).into_owned()),
        Some(Err(_)) => return Ok(Err((77, "error setting certificate verify locations".into()))),
    };
    for _ in 0..=REDIRECTS_MAX {
        let answer = match ask(process, &to, &trust, method.clone(), &headers, body.clone()).await {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(curl_failure(&to, &failure))),
        };
        let status = answer.response.status();
        let location = answer.response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let (true, true, Some(location)) = (given.has('L'), status.is_redirection(), location) {
            match to.follow(&location) {
                Ok(next) => to = next,
                Err(message) => return Ok(Err((1, message))),
            }
            continue;
        }
        return curl_answer(process, given, &to, answer).await;
    }
    Ok(Err((47, format!("Maximum ({REDIRECTS_MAX}) redirects followed"))))
}

fn curl_failure(to: &Target, failure: &Failure) -> (i32, String) {
    match failure {
        Failure::NoSuchHost => (6, format!("Could not resolve host: {}", to.host)),
        Failure::Connect(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            (28, format!("Failed to connect to {} port {}: {}", to.host, to.port, reason(error)))
        }
        Failure::Connect(error) => (7, format!("Failed to connect to {} port {}: {}", to.host, to.port, reason(error))),
        Failure::Tls(error) => (60, format!("SSL certificate problem: {error}")),
        Failure::Exchange => (52, "Empty reply from server".into()),
    }
}

async fn curl_answer(process: &Process, given: &Given, to: &Target, mut answer: Answer) -> Result<Curled, Stop> {
    let status = answer.response.status();
    let failed = given.has('f') && status.as_u16() >= 400;
    let path = given.value('o').map(str::to_owned).or(given.has('O').then(|| base_name(&to.path).to_owned()));
    let sink = match path.as_deref() {
        None | Some("-") => None,
        Some(path) => match process.open_sink(path, How::WRITE) {
            Ok(sink) => Some(sink),
            Err(error) => return Ok(Err((23, format!("Failed to open {path}: {error}")))),
        },
    };
    if given.has('i') || given.has('I') {
        let mut text = format!(
            "{:?} {} {}\r\n",
            answer.response.version(),
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        );
        for (name, value) in answer.response.headers() {
            text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
        }
        write(process, sink.as_ref(), (text + "\r\n").as_bytes()).await?;
    }
    let mut size = 0;
    if !failed {
        match copy(process, sink.as_ref(), &mut answer).await? {
            Some(copied) => size = copied,
            None => return Ok(Err((18, "transfer closed with outstanding read data remaining".into()))),
        }
    }
    if let Some(format) = given.value('w') {
        let kind =
            answer.response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let text = format
            .replace("%{http_code}", status.as_str())
            .replace("%{response_code}", status.as_str())
            .replace("%{size_download}", &size.to_string())
            .replace("%{content_type}", kind)
            .replace("\\n", "\n")
            .replace("\\t", "\t");
        process.out(text).await?;
    }
    if failed {
        return Ok(Err((22, format!("The requested URL returned error: {}", status.as_u16()))));
    }
    Ok(Ok(()))
}

async fn write(process: &Process, sink: Option<&Sink>, bytes: &[u8]) -> Result<(), Stop> {
    match sink {
        None => process.out(bytes).await,
        Some(sink) => match sink.write(bytes).await {
            Ok(()) => Ok(()),
            Err(error) => process.fail(23, format!("write error: {error}")).await,
        },
    }
}

/// Copies a body as it comes. `None`: it ended early.
async fn copy(process: &Process, sink: Option<&Sink>, answer: &mut Answer) -> Result<Option<usize>, Stop> {
    let mut size = 0;
    while let Some(frame) = answer.response.body_mut().frame().await {
        let Ok(frame) = frame else { return Ok(None) };
        if let Some(bytes) = frame.data_ref() {
            size += bytes.len();
            write(process, sink, bytes).await?;
        }
    }
    Ok(Some(size))
}

const WGET_LONG: &[(&str, char)] = &[
    ("quiet", 'q'),
    ("output-document", 'O'),
    ("timeout", 'T'),
    ("header", 'H'),
    ("post-data", 'd'),
    ("spider", 'x'),
    ("server-response", 'S'),
    ("tries", 't'),
    ("user-agent", 'U'),
    ("no-check-certificate", 'k'),
    ("no-verbose", 'v'),
];

pub(in crate::runtime::commands) async fn wget(process: &mut Process) -> Outcome {
    // busybox's `-qO-` and wget's `-nv` are both common.
    let operands: Vec<String> = process.operands().into_iter().filter(|word| word != "-nv").collect();
    let given = match options::parse(
        &operands,
        options::Spec { letters: "qO:T:H:d:xSt:U:kvcP:", long: WGET_LONG, stops: false },
    ) {
        Ok(given) => given,
        Err(message) => return process.fail(1, message).await,
    };
    let [url] = given.operands.as_slice() else { return process.fail(1, "one URL is needed").await };
    let seconds = given.value('T').and_then(|text| text.parse::<f64>().ok());
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::MAX);
    match tokio::time::timeout(limit, wget_one(process, &given, url)).await {
        Ok(outcome) => outcome,
        Err(_) => process.fail(1, "download timed out").await,
    }
}

async fn wget_one(process: &Process, given: &Given, url: &str) -> Outcome {
    let mut to = match target(url) {
        Ok(to) => to,
        Err(message) => return process.fail(1, message).await,
    };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("Wget"));
    headers.extend(given.values('H').filter_map(header));
    let body = Bytes::from(given.value('d').unwrap_or_default().to_owned());
    let method = match (given.has('d'), given.has('x')) {
        (true, _) => Method::POST,
        (_, true) => Method::HEAD,
        _ => Method::GET,
    };
    let quiet = given.has('q');
    for _ in 0..=REDIRECTS_MAX {
        if !quiet {
            process.err(format!("Connecting to {}:{}\n", to.host, to.port)).await;
        }
        // As busybox's, it believes any certificate.
        let mut answer = match ask(process, &to, &Trust::Anybody, method.clone(), &headers, body.clone()).await {
            Ok(answer) => answer,
            Err(Failure::NoSuchHost) => return process.fail(1, format!("bad address '{}'", to.host)).await,
            Err(Failure::Connect(error)) => {
                return process
                    .fail(1, format!("can't connect to remote host ({}): {}", to.host, reason(&error)))
                    .await;
            }
            Err(Failure::Tls(_) | Failure::Exchange) => return process.fail(1, "error getting response").await,
        };
        let status = answer.response.status();
        if status.is_redirection() {
            let location = answer.response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            match location.map(|location| to.follow(location)) {
                Some(Ok(next)) => to = next,
                Some(Err(message)) => return process.fail(1, message).await,
                None => return process.fail(1, "redirect without a location").await,
            }
            continue;
        }
        if !status.is_success() {
            let reason = status.canonical_reason().unwrap_or_default();
            let message = format!("server returned error: HTTP/1.1 {} {reason}", status.as_u16());
            return process.fail(1, message).await;
        }
        if given.has('x') {
            return Ok(0);
        }
        let name = match base_name(to.path.split('?').next().unwrap_or("/")) {
            "/" | "" => "index.html",
            name => name,
        };
        let path = given.value('O').unwrap_or(name).to_owned();
        let sink = if path == "-" {
            None
        } else {
            let how = if given.has('O') { How::WRITE } else { How { exclusive: true, ..How::WRITE } };
            match process.open_sink(&path, how) {
                Ok(sink) => Some(sink),
                Err(error) => return process.fail(1, format!("can't open '{path}': {error}")).await,
            }
        };
        if copy(process, sink.as_ref(), &mut answer).await?.is_none() {
            return process.fail(1, "connection closed prematurely").await;
        }
        if !quiet && path != "-" {
            process.err(format!("'{path}' saved\n")).await;
        }
        return Ok(0);
    }
    process.fail(1, "too many redirections").await
}
