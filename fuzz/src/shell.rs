//! Scripts of the shell that the scripted runtime has, and single commands: a byte for which, the text.

use crate::pod::Pod;
use crate::soon::soon;

/// It ends by a code, or is given up; the pod still runs a command then, and goes when it is told to.
pub(crate) fn run(bytes: &[u8]) {
    let [mode, text @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    // What no argument of a program can hold.
    let (text, input) = text.split_once('\0').unwrap_or((text, "a b\nc\n"));
    soon(async {
        let pod = Pod::new().await;
        let words: Vec<_> = if mode % 2 == 0 { vec!["sh", "-c", text] } else { text.split('\n').collect() };
        let ended = pod.run(&words, input.as_bytes()).await;
        if let Some(did) = &ended {
            assert!((0..=255).contains(&did.code), "{}", did.code);
        }
        let after = pod.run(&["echo", "still here"], b"").await;
        // A script may have left something behind that takes the time of the one after it, but then it did not end.
        assert!(ended.is_none() || after.is_none_or(|did| did.out == b"still here\n" || did.code != 0));
        pod.end().await;
    });
}
