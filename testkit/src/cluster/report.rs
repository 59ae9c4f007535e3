//! What a cluster was like, when it has ended.

use super::folder::Folder;
use super::plan::Plan;

/// Lines of logs that are kept for the report.
const LINES_MAX: usize = 200;

/// The report of a cluster that has ended.
#[derive(Clone, Debug)]
pub struct Report {
    ends: Vec<String>,
    errors: Vec<String>,
}

impl Report {
    pub(super) fn new(ends: Vec<String>, plan: &Plan, folder: &Folder) -> Self {
        let mut errors = Vec::new();
        for member in plan.members() {
            let log = match std::fs::read(folder.log(&member.to_string())) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => {
                    errors.push(format!("{member}: its log can't be read: {error}"));
                    continue;
                }
            };
            let bad = log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked at"));
            errors.extend(bad.take(LINES_MAX - errors.len().min(LINES_MAX)).map(|line| format!("{member}: {line}")));
        }
        Self { ends, errors }
    }

    /// Members that ended before they were told to, those killed by a test among them.
    #[must_use]
    pub fn ends(&self) -> &[String] {
        &self.ends
    }

    /// What members logged as errors: things that should never happen.
    #[must_use]
    pub fn unexpected_errors(&self) -> &[String] {
        &self.errors
    }
}
