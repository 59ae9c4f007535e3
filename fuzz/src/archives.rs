//! Archives, as `kubectl cp` sends them.

use crate::pod::{Did, Pod};
use crate::soon::soon;

/// An archive consists of blocks.
const BLOCK: usize = 512;

/// They are unpacked or refused; what was unpacked is packed, and that is unpacked to the same.
pub(crate) fn run(bytes: &[u8]) {
    soon(async {
        let pod = Pod::new().await;
        if let Some(Did { code: 0, .. }) =
            pod.run(&["sh", "-c", "mkdir /tmp/a /tmp/b && tar xf - -C /tmp/a"], bytes).await
        {
            again(&pod).await;
        }
        pod.end().await;
    });
}

async fn again(pod: &Pod) -> Option<()> {
    let packed = pod.run(&["tar", "cf", "-", "-C", "/tmp/a", "."], b"").await.filter(|did| did.code == 0)?;
    let unpacked = pod.run(&["tar", "xf", "-", "-C", "/tmp/b"], &packed.out).await?;
    assert_eq!(unpacked.code, 0, "an archive of ours");
    let twice = pod.run(&["tar", "cf", "-", "-C", "/tmp/b", "."], b"").await?;
    assert_eq!(twice.code, 0, "a tree of ours");
    assert!(timeless(twice.out) == timeless(packed.out), "what was unpacked is what was packed");
    Some(())
}

/// An archive without its times, of which a folder's are those of its last change, and without the sums over them.
fn timeless(mut archive: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + BLOCK).filter(|block| block.iter().any(|byte| *byte != 0)) {
        header[136..156].fill(0);
        let digits = header[124..135].iter().take_while(|byte| byte.is_ascii_digit());
        let size = digits.fold(0, |size, digit| size * 8 + usize::from(digit - b'0'));
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
    archive
}
