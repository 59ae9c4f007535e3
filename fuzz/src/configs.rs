//! Configuration files: a byte for what it is to be, and its text.

use std::path::Path;
use std::sync::Arc;
use tinyplane_apiserver::audit::Policy;
use tinyplane_apiserver::egress::Egress;
use tinyplane_wire::identity::kubeconfig;
use tinyplane_wire::net::TcpDial;

/// It is read or refused, by a line that shows nothing of a text that may hold secrets.
pub(crate) fn run(bytes: &[u8]) {
    let [kind, text @ ..] = bytes else { return };
    // A file that a configuration names is opened: those of the machine are left alone.
    if text.windows(4).any(|word| word == b"/dev" || word == b"/pro") {
        return;
    }
    let refused = match kind % 3 {
        0 => std::str::from_utf8(text).ok().and_then(|text| Policy::parse(text).err()).map(|error| error.to_string()),
        1 => in_file(text, |path| {
            Egress::load(path, TcpDial::from(None), &Arc::default()).err().map(|error| error.to_string())
        }),
        _ => in_file(text, |path| kubeconfig::load(path).err().map(|error| error.to_string())),
    };
    if let Some(told) = refused {
        assert!(!told.is_empty() && told.len() < 4096 + text.len(), "{}", told.len());
    }
}

fn in_file<T>(text: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config");
    std::fs::write(&path, text).expect("a file");
    read(&path)
}
