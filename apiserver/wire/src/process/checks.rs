//! Named checks of how a member is, told as upstream's programs tell theirs.

use std::collections::BTreeSet;

/// A check: whether it passes may be asked at any time.
pub type Passes = Box<dyn Fn() -> bool + Send + Sync>;

/// What came of a member's checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether each passes that was not left out.
    pub is_healthy: bool,
    /// The text: a word, or a line for each check when one fails or the caller wants them all.
    pub text: String,
}

/// Asks the checks of a path, such as `livez`, but for those that the caller leaves out. Why one fails is no business of whoever
/// asks: the path is open to all.
#[must_use]
pub fn judge<'a>(
    path: &str,
    checks: impl IntoIterator<Item = (&'a str, impl Fn() -> bool)>,
    left_out: impl IntoIterator<Item = &'a str>,
    verbose: bool,
) -> Verdict {
    let left_out: BTreeSet<&str> = left_out.into_iter().collect();
    let mut unknown = left_out.clone();
    let (mut text, mut is_healthy) = (String::new(), true);
    for (name, passes) in checks {
        unknown.remove(name);
        if left_out.contains(name) {
            text.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if passes() {
            text.push_str(&format!("[+]{name} ok\n"));
        } else {
            text.push_str(&format!("[-]{name} failed: reason withheld\n"));
            is_healthy = false;
        }
    }
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let unknown = unknown.join(",");
        text.push_str(&format!("warn: some health checks cannot be excluded: no matches for {unknown}\n"));
    }
    let text = match (is_healthy, verbose) {
        (true, false) => "ok".to_owned(),
        (true, true) => format!("{text}{path} check passed\n"),
        (false, _) => format!("{text}{path} check failed\n"),
    };
    Verdict { is_healthy, text }
}
