//! Requests for certificates, in DER.

use tinyplane_wire::identity::request::complaint;

/// A request is taken or refused; one that is taken is whole, and has nothing behind it.
pub(crate) fn run(bytes: &[u8]) {
    if complaint(bytes).is_some() {
        return;
    }
    for end in 0..bytes.len() {
        assert!(complaint(&bytes[..end]).is_some(), "cut off at {end} it is taken as well");
    }
    let longer = [bytes, b"\0"].concat();
    assert!(complaint(&longer).is_some(), "a byte behind it is not missed");
}
