//! Tokens from a file (`--token-auth-file`): lines of `token,user,uid,"group1,group2"`.

use super::{Caller, GROUP_AUTHENTICATED};
use std::collections::HashMap;
use std::sync::Arc;

/// The known tokens and who they stand for.
#[derive(Default)]
pub struct StaticTokens(HashMap<String, Arc<Caller>>);

/// A line that is no token.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the token file needs a token, a user and a uid, such as token,user,uid,\"group1,group2\"")]
pub struct StaticTokensError {
    /// Which line, from 1.
    line: usize,
}

impl std::fmt::Debug for StaticTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticTokens").field("tokens", &self.0.len()).finish()
    }
}

impl StaticTokens {
    /// Reads the file's text.
    ///
    /// # Errors
    /// At a line with less than three fields, or without a token or user.
    pub fn parse(text: &str) -> Result<Self, StaticTokensError> {
        let mut tokens = HashMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fields = fields(line.trim());
            match fields.as_slice() {
                [token, user, uid, rest @ ..] if !token.is_empty() && !user.is_empty() => {
                    let groups = rest.first().map_or("", String::as_str);
                    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
                    let mut caller = Caller::new(user, groups.chain([GROUP_AUTHENTICATED]));
                    caller.uid = uid.as_str().into();
                    tokens.insert(token.clone(), Arc::new(caller));
                }
                _ => return Err(StaticTokensError { line: at + 1 }),
            }
        }
        Ok(Self(tokens))
    }

    pub(super) fn get(&self, token: &str) -> Option<Arc<Caller>> {
        self.0.get(token).cloned()
    }
}

/// Splits a line of comma-separated values in which a value may stand in double quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("there is a first field").push(c),
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}
