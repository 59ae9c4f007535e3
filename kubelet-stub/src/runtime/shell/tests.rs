//! The shell against what a POSIX shell does: scripts, their outputs and their exit codes.

use crate::runtime::fixture::Fixture;

/// A script, what it prints, and its exit code.
type Case = (&'static str, &'static str, i32);

async fn check(cases: &[Case]) {
    let fixture = Fixture::idle().await;
    for (script, out, code) in cases {
        let did = fixture.sh(script).await;
        assert_eq!((did.out.as_str(), did.code), (*out, *code), "script: {script}\nerrors: {}", did.err);
    }
}

#[tokio::test]
async fn words_are_quoted_and_expanded_as_posix_says() {
    check(&[
        ("echo hello world", "hello world\n", 0),
        ("echo 'a  b' \"c  d\" e\\ f", "a  b c  d e f\n", 0),
        ("x=1; echo $x ${x} \"$x\" '$x' \\$x", "1 1 1 $x $x\n", 0),
        ("x='a  b'; echo $x; echo \"$x\"", "a b\na  b\n", 0),
        ("unset x; echo [${x:-none}] [${x-none}] [${x:+set}] [$x]", "[none] [none] [] []\n", 0),
        ("x=; echo [${x:-none}] [${x-none}] [${x+set}]", "[none] [] [set]\n", 0),
        ("echo ${y:=new} $y", "new new\n", 0),
        (
            "f=/a/b/c.tar.gz; echo ${f##*/} ${f#*/} ${f%.*} ${f%%.*} ${#f}",
            "c.tar.gz a/b/c.tar.gz /a/b/c.tar /a/b/c 13\n",
            0,
        ),
        ("s=banana; echo ${s/an/AN} ${s//an/AN} ${s:1:3} ${s:2}", "bANana bANANa ana nana\n", 0),
        ("echo $((1 + 2 * 3)) $((10 / 3)) $((10 % 3)) $((1 << 4)) $(((1+2)*3))", "7 3 1 16 9\n", 0),
        ("i=5; i=$((i+1)); echo $i $((i > 5 ? 1 : 0)) $((i == 6 && 0))", "6 1 0\n", 0),
        ("echo $(echo a; echo b) `echo c`", "a b c\n", 0),
        ("echo \"$(echo 'x  y')\"", "x  y\n", 0),
        ("echo $(echo $(echo deep))", "deep\n", 0),
        ("echo ~ ~root", "/root /root\n", 0),
        ("set -- a 'b c' d; for i in \"$@\"; do echo \"[$i]\"; done", "[a]\n[b c]\n[d]\n", 0),
        ("set -- a 'b c'; for i in $@; do echo \"[$i]\"; done; echo \"$*\" $#", "[a]\n[b]\n[c]\na b c 2\n", 0),
        ("set --; for i in \"$@\"; do echo no; done; echo \"x$@y\"", "xy\n", 0),
        ("IFS=,; x=a,b,,c; for i in $x; do echo \"[$i]\"; done", "[a]\n[b]\n[]\n[c]\n", 0),
        ("cd /tmp; touch b.txt a.txt c.log; echo *.txt; echo *.none; echo '*'", "a.txt b.txt\n*.none\n*\n", 0),
        ("echo a\\\nb; echo 'it'\"'\"'s'", "ab\nit's\n", 0),
        ("echo \"a\\$b\\\"c\\d\"", "a$b\"c\\d\n", 0),
        ("echo a#b # comment", "a#b\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn commands_compose() {
    check(&[
        ("echo a; echo b", "a\nb\n", 0),
        ("true && echo yes || echo no", "yes\n", 0),
        ("false && echo yes || echo no", "no\n", 0),
        ("! true; echo $?; ! false; echo $?", "1\n0\n", 0),
        ("echo hello | tr a-z A-Z | cat", "HELLO\n", 0),
        ("false | true; echo $?; set -o pipefail; false | true; echo $?", "0\n1\n", 0),
        ("(x=2; echo $x); echo [$x]", "2\n[]\n", 0),
        ("{ echo a; echo b; } | wc -l", "2\n", 0),
        ("if false; then echo 1; elif true; then echo 2; else echo 3; fi", "2\n", 0),
        ("i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done", "0\n1\n2\n", 0),
        ("until true; do echo no; done; echo end", "end\n", 0),
        ("for i in 1 2 3 4; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done", "1\n3\n", 0),
        ("for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done", "1a\n2a\n", 0),
        ("case abc in x*) echo x;; a?c|q) echo match;; *) echo other;; esac", "match\n", 0),
        ("f() { echo \"f $1 $#\"; return 3; }; f a b; echo $?", "f a 2\n3\n", 0),
        ("f() { local x=in; y=out; }; x=top; f; echo $x $y", "top out\n", 0),
        ("x=1 sh -c 'echo [$x]'; echo [$x]", "[1]\n[]\n", 0),
        ("export A=b; sh -c 'echo $A $0 $1' zero one", "b zero one\n", 0),
        ("eval 'echo a; echo b'", "a\nb\n", 0),
        ("echo 'echo sourced $1; v=5' > /tmp/s; . /tmp/s; echo $v", "sourced\n5\n", 0),
        ("printf 'a\\nb\\n' | while read l; do echo \"<$l>\"; done", "<a>\n<b>\n", 0),
        ("printf 'a b c\\n' | { read x y; echo \"$x|$y\"; }", "a|b c\n", 0),
        ("printf '1\\n2\\n3\\n' | { read a; cat; }", "2\n3\n", 0),
        ("sleep 0.01 & wait $!; echo $?; (exit 7) & wait $!; echo $?", "0\n7\n", 0),
        ("while getopts ab:c o -a -b x -c; do echo $o $OPTARG; done", "a\nb x\nc\n", 0),
        ("x=3; [[ $x -gt 2 && $x != 4 ]] && echo yes; [[ abc == a* ]] && echo pat", "yes\npat\n", 0),
        ("yes | head -2", "y\ny\n", 0),
        ("exec echo gone; echo never", "gone\n", 0),
        ("trap 'echo bye' EXIT; echo hi; exit 4", "hi\nbye\n", 4),
        ("command -v ls; command -v nosuch; echo $?", "/bin/ls\n127\n", 0),
        ("shift 2>/dev/null; set -- a b c; shift 2; echo $1", "c\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn redirections_lead_where_they_say() {
    check(&[
        ("cd /tmp; echo one > f; echo two >> f; cat f; cat < f | wc -l", "one\ntwo\n2\n", 0),
        ("ls /nosuch 2>/dev/null; echo $?", "1\n", 0),
        ("{ echo out; echo err >&2; } 2>&1 | sort", "err\nout\n", 0),
        ("x=5; cat <<EOF\na $x $((x+1))\nEOF", "a 5 6\n", 0),
        ("x=5; cat <<'EOF'\na $x\nEOF", "a $x\n", 0),
        ("cat <<-EOF\n\ttabbed\n\tEOF", "tabbed\n", 0),
        ("cat <<A; cat <<B\na\nA\nb\nB", "a\nb\n", 0),
        ("cat <<EOF | while read l; do\none\ntwo\nEOF\necho \"[$l]\"\ndone", "[one]\n[two]\n", 0),
        ("if true; then cat <<EOF\nin if\nEOF\nfi", "in if\n", 0),
        ("cat <<<word", "word\n", 0),
        ("exec 3>/tmp/three; echo x >&3; exec 3>&-; cat /tmp/three", "x\n", 0),
        ("for i in 1 2; do echo $i; done > /tmp/loop; cat /tmp/loop", "1\n2\n", 0),
        ("echo a > /dev/null; echo b > /dev/stdout; echo c | cat /dev/stdin", "b\nc\n", 0),
        ("echo x > /nosuch/f; echo $?", "1\n", 0),
        ("ls /nosuch &> /tmp/both; wc -l < /tmp/both", "1\n", 0),
    ])
    .await;
}

#[tokio::test]
async fn failures_have_the_codes_that_shells_give() {
    check(&[
        ("exit 3", "", 3),
        ("exit 256", "", 0),
        ("nosuch", "", 127),
        ("/nosuch/x", "", 127),
        ("touch /tmp/plain; /tmp/plain", "", 126),
        ("/tmp", "", 126),
        ("false", "", 1),
        ("set -e; false; echo no", "", 1),
        ("set -e; false || true; if false; then :; fi; ! true; echo still", "still\n", 0),
        ("set -u; echo $nosuch; echo no", "", 2),
        ("echo ${x?gone}; echo no", "", 2),
        ("if; then", "", 2),
        ("echo 'unclosed", "", 2),
        ("kill -TERM $$; sleep 5", "", 143),
        ("timeout 0.05 sleep 10", "", 124),
        ("sleep 10 & kill $!; wait $!", "", 143),
        ("[ 1 -eq 2 ]", "", 1),
        ("[ a -eq 2 ]", "", 2),
        ("echo $((1/0)); echo no", "", 2),
        ("f() { f; }; f", "", 2),
        ("readonly r=1; r=2; echo no", "", 2),
    ])
    .await;
}

#[tokio::test]
async fn what_the_shell_says_of_a_missing_command_is_what_busybox_says() {
    let fixture = Fixture::idle().await;
    let did = fixture.sh("nosuch").await;
    assert_eq!(did.err, "sh: nosuch: not found\n");
    let did = fixture.sh("cat /nosuch").await;
    assert_eq!((did.err.as_str(), did.code), ("cat: can't open '/nosuch': No such file or directory\n", 1));
}

#[tokio::test]
async fn a_script_may_come_from_the_input_and_its_commands_read_what_follows() {
    let fixture = Fixture::idle().await;
    let did = fixture
        .exec(&["sh"], Some("echo one\nread x\nthe line\necho \"got $x\"\nif true\nthen echo two\nfi\nexit 6\n"))
        .await;
    assert_eq!((did.out.as_str(), did.code), ("one\ngot the line\ntwo\n", 6));
}

#[tokio::test]
async fn a_busy_loop_leaves_room_for_others_and_can_be_killed() {
    let fixture = Fixture::idle().await;
    let did = fixture.sh("while :; do :; done & p=$!; sleep 0.05; kill $p; wait $p; echo $?").await;
    assert_eq!(did.out, "143\n");
}
