//! Large files go through every road to a node, both ways, and not a byte is lost.

use crate::scene::{Kubectl, end, wishes};
use rand::{RngCore, SeedableRng};
use std::fs;
use std::path::Path;
use std::process::Command;
use tinyplane::Egress;

/// Many times every window, buffer and queue on the way.
const BYTES: usize = 256 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_copied_both_ways_over_every_egress() {
    for (word, egress) in Egress::WORDS {
        let cluster = wishes().nodes(1).egress(egress).start().await.expect("it starts");
        let kubectl = Kubectl::of(&cluster);
        let (there, back) = (kubectl.folder().join("there"), kubectl.folder().join("back"));
        let mut bytes = vec![0; BYTES];
        rand::rngs::SmallRng::seed_from_u64(7).fill_bytes(&mut bytes);
        fs::write(&there, &bytes).expect("a file");
        drop(bytes);
        kubectl.run("run box --image=busybox -- sleep 100000");
        kubectl.run("wait pod/box --for=condition=Ready --timeout=60s");
        kubectl.run(&format!("cp {} box:/tmp/file", there.display()));
        let digest = sha256(&there);
        assert_eq!(
            kubectl.run("exec box -- sha256sum /tmp/file").split(' ').next(),
            Some(&*digest),
            "to the pod, {word}"
        );
        kubectl.run(&format!("cp box:/tmp/file {}", back.display()));
        assert_eq!(sha256(&back), digest, "from the pod, {word}");
        end(cluster).await;
    }
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("coreutils");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}
