//! The built-in programs against what busybox's and coreutils' do.

use crate::runtime::fixture::Fixture;

/// A script, what it prints, and its exit code.
type Case = (&'static str, &'static str, i32);

async fn check(cases: &[Case]) {
    let fixture = Fixture::idle().await;
    for (script, out, code) in cases {
        let did = fixture.sh(&format!("cd /tmp; {script}")).await;
        assert_eq!((did.out.as_str(), did.code), (*out, *code), "script: {script}\nerrors: {}", did.err);
    }
}

#[tokio::test]
async fn texts_are_printed_and_cut() {
    check(&[
        ("echo -n a; echo -e 'b\\tc'; echo -x", "ab\tc\n-x\n", 0),
        ("printf '%s-%d|%5s|%-5s|%05d|%x\\n' a 7 b c 42 255", "a-7|    b|c    |00042|ff\n", 0),
        ("printf '%s\\n' a b c", "a\nb\nc\n", 0),
        ("printf '%.2f %e %%\\n' 3.14159 1500", "3.14 1.500000e+03 %\n", 0),
        ("printf '%b|%c\\n' 'x\\ty' hello", "x\ty|h\n", 0),
        ("printf 'no newline'", "no newline", 0),
        ("seq 3; seq 2 4 | tr '\\n' ' '; seq -s, 1 2 7", "1\n2\n3\n2 3 4 1,3,5,7\n", 0),
        ("seq 5 | head -2; seq 5 | tail -n 2; seq 5 | tail -n +4; seq 5 | head -n -3", "1\n2\n4\n5\n4\n5\n1\n2\n", 0),
        ("printf abcdef | head -c 3; printf abcdef | tail -c 2", "abcef", 0),
        ("printf abcdef | tail -c+3", "cdef", 0),
        ("printf 'a:b:c\\n' | cut -d: -f2; printf 'a:b:c\\n' | cut -d: -f1,3; echo hello | cut -c2-4", "b\na:c\nell\n", 0),
        ("echo hello | tr l L; echo aabbcc | tr -s ab; echo a1b2 | tr -d '[:digit:]'; echo abc | tr a-c A-C", "heLLo\nabcc\nab\nABC\n", 0),
        ("printf 'b\\na\\nc\\na\\n' | sort; printf '10\\n9\\n' | sort -n; printf 'b\\na\\na\\n' | sort -ru", "a\na\nb\nc\n9\n10\nb\na\n", 0),
        ("printf 'x 3\\ny 1\\nz 2\\n' | sort -k2 -n; printf 'a:2\\nb:1\\n' | sort -t: -k2,2", "y 1\nz 2\nx 3\nb:1\na:2\n", 0),
        ("printf 'a\\na\\nb\\n' | uniq -c; printf 'a\\na\\nb\\n' | uniq -d", "      2 a\n      1 b\na\n", 0),
        ("printf 'one two\\nthree\\n' | wc -l; printf 'one two\\nthree\\n' | wc -w; printf abc | wc -c", "2\n3\n3\n", 0),
        ("echo abc | rev; printf '1\\n2\\n' | tac", "cba\n2\n1\n", 0),
        ("echo hello | base64; echo aGVsbG8K | base64 -d", "aGVsbG8K\nhello\n", 0),
        ("printf 'message digest' | md5sum; printf abc | sha1sum", "f96b697d7cb7938d525a2f31aaf161d0  -\na9993e364706816aba3e25717850c26c9cd0d89d  -\n", 0),
        ("printf abc | md5sum; printf abc | sha256sum", "900150983cd24fb0d6963f7d28e17f72  -\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n", 0),
        ("expr 1 + 2 \\* 3; expr abc : 'a\\(.\\)c'; expr length hello; expr 1 = 2", "7\nb\n5\n0\n", 1),
        ("basename /a/b.txt .txt; dirname /a/b/c; dirname x; basename /", "b\n/a/b\n.\n/\n", 0),
        ("printf 'a\\nb\\n' | xargs echo x; echo 1 2 3 | xargs -n1 echo; echo a | xargs -I{} echo '<{}>'", "x a b\n1\n2\n3\n<a>\n", 0),
        ("date -u -d @0 +%Y-%m-%dT%H:%M:%SZ; date -d '2026-01-02 03:04:05' +%s", "1970-01-01T00:00:00Z\n1767323045\n", 0),
        ("env -i A=1 env; A=2 printenv A", "A=1\n2\n", 0),
        ("id -u; whoami; hostname; uname", "0\nroot\nweb-0\nLinux\n", 0),
        ("echo x | tee a b > /dev/null; cat a b", "x\nx\n", 0),
        ("dd if=/dev/zero bs=1024 count=3 2>/dev/null | wc -c", "3072\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn lines_are_searched_and_edited() {
    check(&[
        ("printf 'foo\\nbar\\nfoobar\\n' | grep foo; printf 'a\\n' | grep -q b; echo $?", "foo\nfoobar\n1\n", 0),
        ("printf 'a1\\nb2\\n' | grep -E '^[a-z][0-9]$' -c; printf 'a\\nB\\n' | grep -i b; printf 'a\\nb\\n' | grep -v a", "2\nB\nb\n", 0),
        ("printf 'x=1 y=2\\n' | grep -oE '[a-z]=[0-9]'; printf 'a\\nb\\n' | grep -n b", "x=1\ny=2\n2:b\n", 0),
        ("printf '1\\n2\\n3\\n4\\n' | grep -A1 2; echo a.b | grep -F a.b; grep x /nosuch 2>/dev/null; echo $?", "2\n3\na.b\n2\n", 0),
        ("mkdir d; echo hit > d/f; grep -r hit d; grep -l hit d/f; grep -w hi d/f; echo $?", "d/f:hit\nd/f\n1\n", 0),
        ("echo hello | sed s/l/L/; echo hello | sed 's/l/L/g'; echo a/b | sed 's|/|-|'; echo aaa | sed s/a/b/2", "heLlo\nheLLo\na-b\naba\n", 0),
        ("seq 5 | sed -n 2,3p; seq 5 | sed '2d;4d'; seq 3 | sed '$d'; seq 4 | sed -n '$p'", "2\n3\n1\n3\n5\n1\n2\n4\n", 0),
        ("echo 'k: v' | sed -E 's/(\\w+): (\\w+)/\\2=\\1/'; echo abc | sed 's/b/[&]/'; echo a | sed 's/\\(a\\)/\\1\\1/'", "v=k\na[b]c\naa\n", 0),
        ("printf 'a\\nb\\n' > f; sed -i s/a/X/ f; cat f; seq 3 | sed '/2/a after'; seq 2 | sed '1i before'", "X\nb\n1\n2\nafter\n3\nbefore\n1\n2\n", 0),
        ("seq 3 | sed -n '/2/{p;q}'; seq 4 | sed '/2/,/3/d'; echo abc | sed y/abc/xyz/; seq 3 | sed 2q", "2\n1\n4\nxyz\n1\n2\n", 0),
        ("printf 'a\\nb\\nc\\n' | sed ':x;N;$!bx;s/\\n/,/g'; seq 3 | sed '1!G;h;$!d'", "a,b,c\n3\n2\n1\n", 0),
        ("echo path=/old/dir | sed -e 's#/old#/new#' -e s/dir/d/", "path=/new/d\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn the_tree_is_changed_and_listed() {
    check(&[
        ("mkdir -p a/b/c; touch a/b/c/f; ls -R a; mkdir a 2>&1", "a:\nb\n\na/b:\nc\n\na/b/c:\nf\nmkdir: can't create directory 'a': File exists\n", 1),
        ("mkdir x; echo 1 > x/f; cp -r x y; cat y/f; mv y/f z; ls y; cat z; rm -r x y z; ls x 2>&1", "1\n1\nls: x: No such file or directory\n", 1),
        ("rm nosuch; rm -f nosuch; echo $?; mkdir dd; rm dd 2>&1; rmdir dd; echo $?", "0\nrm: 'dd': Is a directory\n0\n", 0),
        ("echo t > t; ln -s t l; readlink l; cat l; ls -l l | cut -c1; ln t h; rm t; cat h; cat l 2>/dev/null; echo $?", "t\nt\nl\nt\n1\n", 0),
        ("touch m; chmod 640 m; stat -c %a m; chmod u+x,o=r m; stat -c '%a %s %F' m", "640\n744 0 regular empty file\n", 0),
        ("mkdir -p p/q; touch p/1.txt p/q/2.txt p/q/3.log; find p -name '*.txt' | sort; find p -type d; find p -name '*.log' -delete; find p -type f | wc -l", "p/1.txt\np/q/2.txt\np\np/q\n2\n", 0),
        ("mkdir -p e; touch e/1 e/2; find e -type f -exec echo got {} \\; | sort; find e -maxdepth 0; find e -type f -exec echo {} +", "got e/1\ngot e/2\ne\ne/1 e/2\n", 0),
        ("cd /; cd tmp; pwd; cd - ; cd /nosuch; echo $?", "/tmp\n/\n1\n", 0),
        ("d=$(mktemp -d); [ -d $d ] && echo made; f=$(mktemp); [ -f $f ] && [ ! -s $f ] && echo empty", "made\nempty\n", 0),
        ("mkdir s; cp s s/t 2>/dev/null; echo $?; cp nosuch x 2>/dev/null; echo $?; realpath s/../s", "1\n1\n/tmp/s\n", 0),
        ("printf 'a\\nb\\n' > 1; printf 'a\\nc\\n' > 2; diff 1 2; cmp 1 2", "--- 1\n+++ 2\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n1 2 differ: char 3, line 2\n", 1),
        ("echo '#!/bin/sh\necho script $1' > r.sh; chmod +x r.sh; ./r.sh arg; sh r.sh x; cp /bin/echo own; ./own copied", "script arg\nscript x\ncopied\n", 0),
        ("which ls nosuch; ls /bin/sh; rm /bin/ls; ls 2>&1", "/bin/ls\n/bin/sh\nsh: ls: not found\n", 127),
    ])
    .await;
}

#[tokio::test]
async fn an_archive_made_here_is_read_by_the_hosts_tar_and_the_other_way() {
    let fixture = Fixture::idle().await;
    let long = "n".repeat(60);
    let script = format!(
        "cd /tmp; mkdir -p t/{long}/{long}; echo hi > t/a; head -c 1000 /dev/zero > t/{long}/{long}/z; ln -s a t/l; chmod 755 t/a"
    );
    assert_eq!(fixture.sh(&script).await.code, 0);
    let (archive, errors, code) = fixture.exec_bytes(&["tar", "cf", "-", "-C", "/tmp", "t"], None).await;
    assert_eq!((code, String::from_utf8_lossy(&errors).as_ref()), (0, ""));
    assert_eq!(archive.len() % 10_240, 0);

    let (_, errors, code) = fixture.exec_bytes(&["sh", "-c", "mkdir /in && tar -xmf - -C /in"], Some(&archive)).await;
    assert_eq!((code, String::from_utf8_lossy(&errors).as_ref()), (0, ""));
    let did = fixture.sh("cd /in/t; cat l; stat -c %a a; cat n*/n*/z | wc -c; tar cf /tmp/x.tar . && tar tf /tmp/x.tar | sort | head -3").await;
    assert_eq!(did.out, "hi\n755\n1000\n./\n./a\n./l\n", "{}", did.err);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.tar");
    std::fs::write(&file, &archive).unwrap();
    let run = std::process::Command::new("tar").arg("-C").arg(folder.path()).arg("-xf").arg(&file).status();
    let Ok(status) = run else {
        eprintln!("the host has no tar: only our own was tried");
        return;
    };
    assert!(status.success());
    assert_eq!(std::fs::read(folder.path().join("t/a")).unwrap(), b"hi\n");
    assert_eq!(std::fs::read(folder.path().join("t").join(&long).join(&long).join("z")).unwrap().len(), 1000);

    let made = std::process::Command::new("tar").arg("-C").arg(folder.path()).args(["-cf", "-", "t"]).output().unwrap();
    let command = "mkdir /host; tar --no-same-permissions --no-same-owner -xmf - -C /host --strip-components=1; cat /host/a; cat /host/n*/n*/z | wc -c";
    let (out, errors, code) = fixture.exec_bytes(&["sh", "-c", command], Some(&made.stdout)).await;
    assert_eq!(
        (code, String::from_utf8_lossy(&out).as_ref()),
        (0, "hi\n1000\n"),
        "{}",
        String::from_utf8_lossy(&errors)
    );
}

#[tokio::test]
async fn a_file_of_many_megabytes_is_copied_out_byte_by_byte() {
    let fixture = Fixture::idle().await;
    let did = fixture.sh("head -c 8388608 /dev/urandom > /tmp/big; md5sum < /tmp/big").await;
    let (archive, _, code) = fixture.exec_bytes(&["tar", "cf", "-", "/tmp/big"], None).await;
    assert_eq!((code, archive.len()), (0, 8_396_800));
    let (out, _, _) = fixture.exec_bytes(&["sh", "-c", "tar -xOf - | md5sum"], Some(&archive)).await;
    assert_eq!(String::from_utf8_lossy(&out), did.out);
}

#[tokio::test]
async fn an_archive_that_leads_outside_or_is_broken_is_refused() {
    let fixture = Fixture::idle().await;
    let (_, errors, code) = fixture.exec_bytes(&["tar", "xf", "-"], Some(&[b'x'; 1024])).await;
    assert_eq!((code, String::from_utf8_lossy(&errors).as_ref()), (1, "tar: invalid tar header checksum\n"));
    let (_, _, code) = fixture.exec_bytes(&["tar", "xf", "-"], Some(b"short")).await;
    assert_eq!(code, 1);
}
