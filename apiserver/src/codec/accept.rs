//! In which form a client wants its answer: the `Accept` header, weighed as upstream weighs it.

use super::protobuf::encode;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use std::cmp::Ordering;
use tinyplane_wire::status::{self, Details, Reason, Status};

/// What an answer is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The objects themselves.
    Object,
    /// A `meta.k8s.io` `Table`.
    Table,
    /// `meta.k8s.io` `PartialObjectMetadata`, or a list of it.
    Metadata,
}

/// In which letters it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Media {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// The group and version of Tables and of lone metadata.
pub const META_V1: &str = "meta.k8s.io/v1";
const META_V1BETA1: &str = "meta.k8s.io/v1beta1";
const PLAIN: &str = "application/json, application/yaml";
/// What Go calls an object of a custom kind.
pub const UNSTRUCTURED: &str = "unstructured.Unstructured";
const DISCOVERY_GROUP: &str = "apidiscovery.k8s.io";

/// What a client accepts, its best wish that can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// What it looks like.
    pub form: Form,
    /// In which letters.
    pub media: Media,
    /// The group and version of a Table, or of metadata.
    pub meta: &'static str,
    /// Whether it is the metadata of a list that was named.
    pub of_list: bool,
    /// Whether JSON is to be on lines of its own, as `pretty=1` in the path asks for.
    pub pretty: bool,
}

/// What an endpoint can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its objects have messages. Where not, metadata alone still has one.
    pub protobuf: bool,
    /// Its objects can be made into metadata: those of resources.
    pub forms: bool,
    /// Its objects can be made into Tables: those that are kept.
    pub tables: bool,
    /// It is the aggregated document of discovery, and nothing else.
    pub discovery: bool,
}

impl Accept {
    /// The objects themselves, in these letters.
    const fn objects(media: Media) -> Self {
        Self { form: Form::Object, media, meta: META_V1, of_list: false, pretty: false }
    }

    /// Insists that metadata was named as what it is: of an object, or of a list.
    ///
    /// # Errors
    /// 406 with what Go calls the object that there is.
    pub fn demand_shape(self, is_list: bool, go_type: impl FnOnce() -> String) -> status::Result<()> {
        if self.form != Form::Metadata || self.of_list == is_list {
            return Ok(());
        }
        let go_type = go_type();
        if !is_list && go_type == UNSTRUCTURED {
            // Of what it knows no type of upstream finds out too late.
            return Err(Status::failure(Reason::Unknown, "content is not a list"));
        }
        let (named, is) = if is_list { ("", "is a list") } else { ("List", "is not a list") };
        let told = format!("you requested PartialObjectMetadata{named}, but the requested object {is} (*{go_type})");
        Err(Status::failure(Reason::NotAcceptable, told))
    }
}

impl Offer {
    /// Of a resource of a built-in kind.
    pub const BUILTIN: Self = Self { protobuf: true, forms: true, tables: true, discovery: false };
    /// Of what is no resource, failures among it.
    pub const PLAIN: Self = Self { protobuf: true, forms: false, tables: false, discovery: false };
    /// Of the aggregated document of discovery. Only who names it gets it.
    const DISCOVERY: Self = Self { discovery: true, ..Self::PLAIN };
}

impl Media {
    const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Protobuf];

    /// How it is called in headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => encode::MEDIA_TYPE,
        }
    }

    /// As a content type.
    #[must_use]
    pub const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

/// The best wish of a request's headers. Only the first `Accept` counts, as upstream has it.
///
/// # Errors
/// 406 where no wish can be met.
pub fn of(headers: &HeaderMap, offer: Offer) -> status::Result<Accept> {
    best(line(headers.get(ACCEPT)), offer).ok_or_else(|| not_acceptable(PLAIN, ""))
}

/// The same for a watch, which YAML has no frames for.
///
/// # Errors
/// 406 where no wish can be met.
pub fn of_watch(headers: &HeaderMap, offer: Offer) -> status::Result<Accept> {
    match best(line(headers.get(ACCEPT)), offer) {
        Some(accept) if accept.media != Media::Yaml => Ok(accept),
        Some(_) => Err(not_acceptable("application/json;stream=watch", ";stream=watch")),
        None => Err(not_acceptable(PLAIN, "")),
    }
}

/// The letters of the aggregated document of discovery, where a client wishes it; `None` for the plain documents. What is
/// wished is looked for in all of the header first, as upstream does it, however light it weighs against the plain ones.
#[must_use]
pub fn of_discovery(headers: &HeaderMap) -> Option<Media> {
    let line = Some(line(headers.get(ACCEPT))).filter(|line| !line.is_empty());
    best(line?, Offer::DISCOVERY).map(|accept| accept.media)
}

/// What a page for people is wished as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Plain text.
    Text,
    /// An object in these letters, of this version of its group.
    Object {
        /// JSON or YAML.
        media: Media,
        /// `v1alpha1` or `v1beta1`.
        version: &'static str,
        /// Whether JSON is to be on lines of its own.
        pretty: bool,
    },
}

/// The best wish for a page, which is an object for those alone who name its kind.
///
/// # Errors
/// 406 where no wish can be met.
pub fn of_page(headers: &HeaderMap, kind: &str) -> status::Result<Page> {
    let line = line(headers.get(ACCEPT));
    if line.trim().is_empty() {
        return Ok(Page::Text);
    }
    let wished = clauses(line).iter().find_map(|clause| clause.page(kind));
    wished.ok_or_else(|| {
        let told = "only the following media types are accepted: application/json, application/yaml, text/plain";
        Status::failure(Reason::NotAcceptable, told)
    })
}

/// The letters for a page's failure, where some are wished that pages have.
#[must_use]
pub fn of_page_failure(headers: &HeaderMap) -> Option<Media> {
    let wished = best(line(headers.get(ACCEPT)), Offer::PLAIN).map(|accept| accept.media);
    wished.filter(|media| *media != Media::Protobuf)
}

/// Which of these types a line of `Accept` wishes for: the first where it says nothing, `None` where it wishes for no one of them.
#[must_use]
pub fn of_types(line: &str, types: &[&str]) -> Option<usize> {
    if line.is_empty() {
        return Some(0);
    }
    clauses(line).iter().find_map(|clause| types.iter().position(|name| clause.fits(name)))
}

/// Whether anything in a line of `Accept` can be read.
#[must_use]
pub fn names_types(line: &str) -> bool {
    !clauses(line).is_empty()
}

/// How a failure is wished; `None` where it can't be written so, as a Table alone say.
#[must_use]
pub fn of_failure(accept: Option<&HeaderValue>) -> Option<Accept> {
    best(line(accept), Offer::PLAIN)
}

/// Insists that `Accept` names something that a built-in path has: before parameters and weights are looked at.
///
/// # Errors
/// 406, with what there is.
pub fn demand_known(headers: &HeaderMap, watched: bool) -> status::Result<()> {
    demand_of(&Media::ALL.map(Media::name), headers, watched)
}

/// The same of a path that has one type alone.
///
/// # Errors
/// 406, with what there is.
pub fn demand_type(headers: &HeaderMap, media: &str) -> status::Result<()> {
    demand_of(&[media], headers, false)
}

fn demand_of(media: &[&str], headers: &HeaderMap, watched: bool) -> status::Result<()> {
    let plain = media.join(", ");
    let known = |wished: &str| wished == "*/*" || media.contains(&wished);
    let mut wished = line(headers.get(ACCEPT)).split(',').map(|clause| clause.split(';').next().unwrap_or_default());
    if line(headers.get(ACCEPT)).is_empty() || wished.any(|media| known(media.trim_matches(' '))) {
        return Ok(());
    }
    let more = ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    let told = format!("406: Not Acceptable\n\nAvailable representations: {plain}{}", if watched { more } else { "" });
    Err(Status::failure(Reason::NotAcceptable, told).with_details(Details::default()))
}

fn line(accept: Option<&HeaderValue>) -> &str {
    accept.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What there is: of custom resources as well upstream names protobuf, in which only their metadata can be written.
fn not_acceptable(plain: &str, suffix: &str) -> Box<Status> {
    let protobuf = encode::MEDIA_TYPE;
    let told = format!("only the following media types are accepted: {plain}, {protobuf}{suffix}");
    Status::failure(Reason::NotAcceptable, told)
}

fn best(line: &str, offer: Offer) -> Option<Accept> {
    if line.is_empty() {
        return Some(Accept::objects(Media::Json));
    }
    // A weight of nothing does not forbid here: it only comes last.
    let clauses = clauses(line);
    let wishes = clauses.iter().flat_map(|clause| Media::ALL.map(|media| (clause, media)));
    wishes.filter(|(clause, media)| clause.covers(*media)).find_map(|(clause, media)| clause.answer(media, offer))
}

/// One wish.
struct Clause<'a> {
    major: &'a str,
    minor: &'a str,
    weight: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

/// Most wishes that are looked at: they are sorted for everybody, before it is known who asks.
const CLAUSES_MAX: usize = 256;

fn ranges(line: &str) -> impl Iterator<Item = Clause<'_>> {
    line.split(',').take(CLAUSES_MAX).filter_map(Clause::parse)
}

/// The wishes, best first: by weight, then the more exact ones. This is no total order, and it is Go's sort of short
/// lists, by insertion, that says what comes of it.
fn clauses(line: &str) -> Vec<Clause<'_>> {
    let mut sorted: Vec<Clause<'_>> = Vec::new();
    for clause in ranges(line) {
        let at = sorted.iter().rposition(|known| !clause.precedes(known)).map_or(0, |at| at + 1);
        sorted.insert(at, clause);
    }
    sorted
}

impl<'a> Clause<'a> {
    /// `None` for what is no media range: it is passed over, as are parameters without a value, or with two.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim_matches(' ').split(';');
        let range = parts.next().unwrap_or_default();
        let (major, minor) = range.split_once('/').unwrap_or((range, ""));
        let major = major.trim_matches(' ');
        let minor = match minor.strip_suffix('/').unwrap_or(minor) {
            "" if major == "*" => "*",
            "" => return None,
            minor if minor.contains('/') => return None,
            minor => minor.trim_matches(' '),
        };
        let mut clause = Self { major, minor, weight: 1.0, parameters: Vec::new() };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.strip_suffix('=').unwrap_or(value);
            match name.trim_matches(' ') {
                _ if value.is_empty() || value.contains('=') => {}
                "q" => clause.weight = value.parse().unwrap_or_default(),
                name => clause.parameters.push((name, value.trim_matches(' '))),
            }
        }
        Some(clause)
    }

    fn precedes(&self, other: &Self) -> bool {
        self.weight.partial_cmp(&other.weight) == Some(Ordering::Greater)
            || (self.major != "*" && other.major == "*")
            || (self.minor != "*" && other.minor == "*")
    }

    fn covers(&self, media: Media) -> bool {
        let (major, minor) = media.name().split_once('/').unwrap_or_default();
        match (self.major, self.minor) {
            ("*", "*") => true,
            (own, "*") => own == major,
            (own, exact) => (own, exact) == (major, minor),
        }
    }

    /// The same where each side alone may be left open, as upstream has it of documents.
    fn fits(&self, name: &str) -> bool {
        let (major, minor) = name.split_once('/').unwrap_or_default();
        [(self.major, major), (self.minor, minor)].iter().all(|(own, of)| *own == "*" || own == of)
    }

    fn named(&self, wanted: &str) -> Option<&'a str> {
        self.parameters.iter().rev().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    }

    fn is_pretty(&self) -> bool {
        self.named("pretty") == Some("1")
    }

    /// What this wish comes to for a page of this kind.
    fn page(&self, kind: &str) -> Option<Page> {
        let wished = (self.named("as"), self.named("g"), self.named("v"));
        let media = [Media::Json, Media::Yaml].into_iter().find(|media| self.covers(*media));
        if let (Some(media), (Some(named), Some("config.k8s.io"), Some(version))) = (media, wished)
            && named == kind
            && let Some(version) = ["v1alpha1", "v1beta1"].into_iter().find(|known| *known == version)
        {
            return Some(Page::Object { media, version, pretty: self.is_pretty() });
        }
        let is_text = matches!((self.major, self.minor), ("*", "*") | ("text", "*" | "plain"));
        (is_text && wished == (None, None, None)).then_some(Page::Text)
    }

    /// What this wish comes to in these letters; `None` where it can't be met.
    fn answer(&self, media: Media, offer: Offer) -> Option<Accept> {
        let named = |wanted: &str| self.named(wanted);
        match named("stream") {
            None | Some("") => {}
            Some("watch") if media != Media::Yaml => {}
            Some(_) => return None,
        }
        // What is no resource has no version of its server's own.
        if !matches!((named("sv"), offer.forms), (None | Some(""), _) | (Some("v1"), true)) {
            return None;
        }
        let (kind, group, version) = (named("as"), named("g"), named("v"));
        if offer.discovery {
            let wished = (kind, group, version) == (Some("APIGroupDiscoveryList"), Some(DISCOVERY_GROUP), Some("v2"));
            return wished.then_some(Accept::objects(media));
        }
        let pretty = self.is_pretty();
        if (kind, group, version) == (None, None, None) {
            let written = media != Media::Protobuf || offer.protobuf;
            return written.then_some(Accept { pretty, ..Accept::objects(media) });
        }
        let meta = match (group, version) {
            (Some("meta.k8s.io"), Some("v1")) => META_V1,
            (Some("meta.k8s.io"), Some("v1beta1")) => META_V1BETA1,
            _ => return None,
        };
        let kind = kind?;
        let form = match kind {
            // A Table has no message.
            "Table" if media != Media::Protobuf && offer.tables => Form::Table,
            "PartialObjectMetadata" | "PartialObjectMetadataList" => Form::Metadata,
            _ => return None,
        };
        offer.forms.then_some(Accept { form, media, meta, of_list: kind.ends_with("List"), pretty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(line: &str) -> Option<(Form, Media)> {
        best(line, Offer::BUILTIN).map(|accept| (accept.form, accept.media))
    }

    #[test]
    fn the_best_wish_that_can_be_met_is_met() {
        let protobuf = "application/vnd.kubernetes.protobuf";
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(wished(table), Some((Form::Table, Media::Json)));
        assert_eq!(wished(&format!("{protobuf};as=Table;v=v1;g=meta.k8s.io")), None);
        assert_eq!(
            wished(&format!("{protobuf};as=Table;v=v1;g=meta.k8s.io,{table}")),
            Some((Form::Table, Media::Json))
        );
        assert_eq!(wished("application/json;as=Table;v=v1beta1;g=meta.k8s.io"), Some((Form::Table, Media::Json)));
        assert_eq!(wished("application/json;as=Table;v=v2;g=meta.k8s.io"), None);
        assert_eq!(wished(" application/yaml "), Some((Form::Object, Media::Yaml)));
        assert_eq!(wished(&format!("{protobuf},application/json")), Some((Form::Object, Media::Protobuf)));
        assert_eq!(wished("application/cbor"), None);
        assert_eq!(wished("application/cbor,*/*"), Some((Form::Object, Media::Json)));
        let metadata = format!("{protobuf};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
        assert_eq!(wished(&metadata), Some((Form::Metadata, Media::Protobuf)));
        let review = Offer { tables: false, ..Offer::BUILTIN };
        assert_eq!(best(table, review), None);
        assert_eq!(best(&metadata, review).unwrap().form, Form::Metadata);
    }

    #[test]
    fn weights_count_and_exact_wishes_come_before_wildcards() {
        assert_eq!(wished("application/json;q=0.5,application/yaml;q=0.9"), Some((Form::Object, Media::Yaml)));
        assert_eq!(wished("*/*,application/yaml"), Some((Form::Object, Media::Yaml)));
        assert_eq!(wished("application/json;q=0,*/*"), Some((Form::Object, Media::Json)));
        assert_eq!(wished("application/json;q=0,application/yaml;q=0"), Some((Form::Object, Media::Json)));
        assert_eq!(wished("text/html,*/*;q=0.1"), Some((Form::Object, Media::Json)));
    }

    #[test]
    fn what_can_t_be_read_is_passed_over() {
        assert_eq!((wished("application"), wished(","), wished("application/json/x")), (None, None, None));
        assert_eq!(wished(&format!("{}application/json", "a/b,".repeat(CLAUSES_MAX))), None);
        assert_eq!(wished("application/json;as="), Some((Form::Object, Media::Json)));
        assert_eq!(wished("application/json;as=Table=;v=v1;g=meta.k8s.io"), Some((Form::Table, Media::Json)));
        assert_eq!(wished("application/json;sv=v1"), Some((Form::Object, Media::Json)));
        assert_eq!(best("application/json;sv=v1", Offer::PLAIN), None);
    }

    #[test]
    fn the_wish_that_is_met_says_whether_it_is_for_people() {
        let pretty = |line| best(line, Offer::BUILTIN).unwrap().pretty;
        assert!(pretty("application/json;pretty=1") && !pretty("application/json;pretty=true"));
        assert!(!pretty("application/json;pretty=1;q=0.5, application/json"));
        assert!(!pretty("application/yaml, application/json;pretty=1"));
        assert!(pretty("application/json;pretty=1;as=Table;v=v1;g=meta.k8s.io"));
    }

    #[test]
    fn who_names_the_aggregated_document_gets_it() {
        let wished = |line: &str| of_discovery(&HeaderMap::from_iter([(ACCEPT, line.parse().unwrap())]));
        let named = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert_eq!(wished(&format!("application/json;{named}")), Some(Media::Json));
        assert_eq!(wished(&format!("application/yaml;{named}")), Some(Media::Yaml));
        let protobuf = format!("application/vnd.kubernetes.protobuf;{named}");
        assert_eq!(wished(&format!("{protobuf},application/json;{named}")), Some(Media::Protobuf));
        assert_eq!(wished(&format!("application/json,{protobuf};q=0.1")), Some(Media::Protobuf));
        assert_eq!(wished(&format!("*/*;{named}")), Some(Media::Json));
        assert_eq!(wished("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"), None);
        assert_eq!((wished("application/json"), of_discovery(&HeaderMap::new())), (None, None));
    }

    #[test]
    fn custom_resources_and_failures_have_fewer_forms() {
        let headers = |line: &str| HeaderMap::from_iter([(ACCEPT, line.parse().unwrap())]);
        let custom = Offer { protobuf: false, ..Offer::BUILTIN };
        let both = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(best(both, custom).map(|accept| accept.media), Some(Media::Json));
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let failure = of_failure(Some(&HeaderValue::from_static(table)));
        assert_eq!((best(table, Offer::PLAIN), failure), (None, None));
        let failure = of_failure(Some(&HeaderValue::from_static("application/yaml")));
        assert_eq!(failure.map(|accept| accept.media), Some(Media::Yaml));
        let stream = headers("application/vnd.kubernetes.protobuf;stream=watch");
        assert_eq!(of_watch(&stream, Offer::BUILTIN).unwrap().media, Media::Protobuf);
        let told = of_watch(&headers("application/yaml"), Offer::BUILTIN).unwrap_err();
        assert_eq!(
            told.message,
            "only the following media types are accepted: \
             application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
        );
    }
}
