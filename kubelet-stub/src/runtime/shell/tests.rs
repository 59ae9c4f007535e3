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

/// Scripts that touch no file, for which the host's shell is asked what is right.
const AS_DASH: &[&str] = &[
    "x='a b'; set -- $x \"$x\"; echo $#; echo \"$2\"",
    "IFS=:; x=a:b::c:; set -- $x; echo $#; printf '[%s]' \"$@\"",
    "IFS=' :'; x=' a : b  c'; set -- $x; echo $#; printf '[%s]' \"$@\"",
    "IFS=; x='a b'; set -- $x; echo $#",
    "set -- a b; IFS=-; echo \"$*\" $*",
    "x=; set -- $x \"\" ''; echo $#",
    "set -- \"${x:-a b}\" ${x:-c d}; echo $#; printf '[%s]' \"$@\"",
    "echo \"${x:-\"q w\"}\" ${x:+no} \"${x-'s'}\"",
    "x=abcabc; echo ${x#*b} ${x##*b} ${x%b*} ${x%%b*} \"${x%\"c\"}\"",
    "x='*'; echo \"$x\" '*' \\* \"\\*\"",
    "printf '%s\\n' \"a\\\nb\" 'a\\nb'",
    "echo $((2+3*4-10/3%2)) $((-7/2)) $((-7%3)) $((~5)) $((!0)) $((1?2:3)) $((0x1f)) $((010))",
    "a=3; echo $((a*=2)) $((a+=1)) $a $((a<<2|1)) $((a&6^3)) $(( (a>5) && (a<10) ))",
    "i=0; while :; do i=$((i+1)); case $i in 3) continue;; 6) break;; esac; printf $i; done",
    "f() { return $1; }; f 3; echo $?; f 0 && echo ok; f 1 || echo no",
    "f() { echo $#; shift; echo \"$@\"; }; f a 'b c' d; echo $#",
    "f() { x=2; }; x=1; (f; echo $x); echo $x; f; echo $x",
    "x=1; { x=2; }; echo $x; x=3 | :; echo $x",
    "echo a | { read x; echo \"got $x\"; }; echo \"[$x]\"",
    "printf 'a b\\tc\\n' | { read -r x y; echo \"[$x][$y]\"; }",
    "printf 'a\\\\\\nb\\n' | { read x; echo \"[$x]\"; }",
    "printf 'x y z ' | { read a b; echo \"$? [$a][$b]\"; }",
    "set -e; f() { false; echo in; }; if f; then echo then; fi; f || echo or; echo end; (false); echo no",
    "set -e; x=$(false); echo no",
    "set -e; false | true; echo piped; true | false; echo no",
    "set -e; ! false; ! true; echo negated; { false; } ; echo no",
    "set -e; while false; do :; done; for i in 1; do false && true; done; echo end",
    "trap 'echo exit $?' EXIT; (exit 3); echo $?; exit 5",
    "trap 'echo a' EXIT; (trap 'echo b' EXIT; exit 1); echo $?",
    "(exit 4) || echo $?; exit",
    "false; exit",
    "x=$(exit 7); echo $?; x=1 y=$(exit 2); echo $?; echo $(exit 3); echo $?",
    "eval 'x=5; echo $x'; eval; echo $?; eval false; echo $?",
    "case a in [!b]) echo 1;; esac; case 'a*' in 'a*') echo 2;; esac; case ab in a|ab) echo 3;; esac; case x in y) ;; esac; echo $?",
    "x='a*'; case abc in $x) echo pattern;; esac; case abc in \"$x\") echo no;; *) echo literal;; esac",
    "case '[' in '[') echo bracket;; esac; case '-' in [a-]) echo dash;; esac; case ']' in []]) echo close;; esac",
    "for i; do echo no; done; set -- 1 2; for i do printf $i; done; for i in; do echo no; done; echo",
    "if true; then :; else echo no; fi; echo $?; if false; then :; fi; echo $?",
    "until [ $((i=i+1)) -ge 3 ]; do printf $i; done; echo $i",
    "test -n '' -o -n x && echo or; test ! -z x -a 1 -lt 2 && echo and; [ '(' = '(' ] && echo paren; [ ! ] && echo bang",
    "[ -n ]; echo $?; [ ]; echo $?; [ '' ]; echo $?; [ x = y -o 2 -gt 1 ]; echo $?",
    "echo one >&2 2>&1; { echo two >&2; } 2>&1; echo three 2>&1 >/dev/null",
    "cat <<E1 <<E2\nfirst\nE1\nsecond\nE2",
    "x='v'; cat <<EOF\n$x \\$x `echo b` $(echo c) $((1+1)) \"q\" 'r' \\\\ \\\nend\nEOF",
    "a=1; a=2 :; echo $a; b=1 eval 'echo $b'; unset a; echo ${a-unset}",
    "readonly r=1; (r=2; echo no) 2>/dev/null; echo $? $r",
    "set -u; echo ${x-ok}; (echo $x; echo no) 2>/dev/null; echo $?",
    "set -f; echo *; set +f; set -- -a b; echo \"$1\"; set --; echo $#",
    "alpha=1; beta=alpha; eval echo \\$$beta; echo \"$$\" | grep -q '^[0-9]*$' && echo pid",
    "sh -c 'echo $0 $# $1' name 'a b' c; sh -c 'exit 9'; echo $?",
    "nosuchcommand 2>/dev/null; echo $?; ./nosuch 2>/dev/null; echo $?; / 2>/dev/null; echo $?",
    "sleep 5 & p=$!; kill $p; wait $p; echo $?; wait; echo $?; wait 99999; echo $?",
    "trap 'echo term' TERM; kill -TERM $$; echo after",
    "trap '' TERM; kill -TERM $$; echo ignored",
    "while getopts 'a:bc' o -a 1 -bc -a2 rest; do printf \"$o=${OPTARG-} \"; done; echo $OPTIND",
    "getopts ab o -x 2>/dev/null; echo $? $o; OPTIND=1; getopts :a: o -a; echo $o $OPTARG",
    "command echo hi; command -v cd; type cd | head -1; command nosuch 2>/dev/null; echo $?",
    "umask 027; umask; cd /; pwd; cd /tmp/../; pwd; cd -",
    "echo ${#x} ${#}; x=hello; echo ${#x}; set -- a b; echo ${#} $# ${1}${2}",
    "echo a;echo b&&echo c||echo d;echo e|cat;(echo f);{ echo g;}",
    "echo $(echo ')' ; echo \"$(echo '(')\") `echo \\`echo n\\``",
    "x=$(cat <<EOF\nin substitution )\nEOF\n); echo \"$x\"",
    "f() ( x=5; echo $x ); f; echo [$x]; g() if true; then echo g; fi; g",
    "printf '%d %i %o %x %X %c %s %%\\n' 10 -3 8 255 255 xyz str; printf '%5d|%-5d|%05d|%+d\\n' 1 2 3 4",
    "printf '%s %s\\n' a b c; printf '%.2s|%5.1f|\\n' abc 3.14159; printf '\\101\\t\\x41\\n' | head -c 2",
    "printf '%b' 'a\\nb\\0101\\n'; printf '%d\\n' \"'A\" 0x10 010; printf x; printf '%s'; echo",
    "break; echo $?; for i in 1 2; do for j in a b; do break 2; done; done; echo $i$j",
    ": ${x:=set}; echo $x; echo ${y:=$x}; : ${z?}",
    "echo \\\"quoted\\\" a\\ b 'single'\\''quote'",
    "echo ~root ~/x \"~\" a~; HOME=/h; echo ~ ~/y; x=~/z; echo $x",
];

#[tokio::test]
async fn what_grows_without_end_is_ended() {
    let fixture = Fixture::idle().await;
    let long = "x=$(head -c 3000000 /dev/zero | tr '\\0' a)";
    for (script, told) in [
        ("x=a; while :; do x=$x$x; done".to_owned(), "out of memory"),
        (format!("{long}; : $x$x"), "out of memory"),
        (format!("{long}; : $x $x"), "Argument list too long"),
        ("x=$(yes)".to_owned(), "substitution too large"),
    ] {
        let did = fixture.sh(&script).await;
        assert!(did.code == 2 && did.err.contains(told), "{script}: {} {}", did.code, did.err);
    }
    assert_eq!(fixture.sh("echo still here").await.out, "still here\n");
}

#[tokio::test]
async fn scripts_do_what_the_hosts_dash_does() {
    let probe = std::process::Command::new("dash").args(["-c", "exit 0"]).status();
    if probe.is_err() {
        eprintln!("the host has no dash to compare with: passed over");
        return;
    }
    let fixture = Fixture::idle().await;
    let mut wrong = Vec::new();
    for script in AS_DASH {
        let output = std::process::Command::new("dash")
            .args(["-c", script])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/root")
            .current_dir("/")
            .output()
            .unwrap();
        let theirs = (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1));
        let did = fixture.sh(script).await;
        if (&did.out, did.code) != (&theirs.0, theirs.1) {
            wrong.push(format!(
                "{script}\n  dash: {theirs:?}\n  ours: {:?}\n  errors: {}",
                (did.out, did.code),
                did.err
            ));
        }
    }
    assert!(wrong.is_empty(), "{} scripts differ:\n{}", wrong.len(), wrong.join("\n"));
}
