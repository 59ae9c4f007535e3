//! What Go's library makes of texts, and how it writes values.

use super::{read, write};
use serde_json::{Value, json};

fn value(text: &str) -> Value {
    read(text.as_bytes()).unwrap().value
}

fn refused(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn scalars_mean_what_they_mean_in_go() {
    for (text, means) in [
        ("y", json!(true)),
        ("'y'", json!("y")),
        ("Off", json!(false)),
        ("~", Value::Null),
        ("0o14", json!(12)),
        ("010", json!(8)),
        ("08", json!(8)),
        ("0x1F", json!(31)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("1.", json!(1)),
        (".5", json!(0.5)),
        ("1e400", json!("1e400")),
        ("18446744073709551615", json!(u64::MAX)),
        ("-18446744073709551615", json!(-1.844_674_407_370_955_2e19)),
        ("12:30", json!("12:30")),
        ("2001-01-01", json!("2001-01-01")),
        ("!!str 1", json!("1")),
        ("!!float 1", json!(1)),
        ("!!binary aGk=", json!("hi")),
        ("!odd 1", json!("1")),
        ("1.2.3", json!("1.2.3")),
        ("-", json!([null])),
    ] {
        assert_eq!(value(text), means, "{text}");
    }
}

#[test]
fn keys_become_texts_and_maps_are_merged() {
    assert_eq!(
        value("{1: a, true: b, 1.5: c, 1000000.0: d}"),
        json!({"1": "a", "true": "b", "1.5": "c", "1e+06": "d"})
    );
    assert_eq!(
        value("a: &x {b: 1, c: 2}\nd:\n  c: 3\n  <<: *x\n"),
        json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}})
    );
    assert_eq!(value("<<: [{a: 1}, {a: 2, b: 2}]\nb: 3"), json!({"a": 1, "b": 3}));
    assert_eq!(value("a: 1\n---\nb: ["), json!({"a": 1}));
    assert_eq!([value(""), value("# none"), value("---")], [Value::Null, Value::Null, Value::Null]);
}

#[test]
fn keys_that_stand_twice_are_told_with_their_lines() {
    let found = read(b"a: 1\nb:\n  1: 2\n  1: 3\na:\n  4\n\"1\": x\n1: z\n").unwrap();
    assert_eq!(found.value, json!({"a": 4, "b": {"1": 3}, "1": "z"}));
    let told = "yaml: unmarshal errors:\n  line 4: key 1 already set in map\n  line 6: key \"a\" already set in map";
    assert_eq!(found.strict().as_deref(), Some(told));
    assert_eq!(read(b"a: 1").unwrap().strict(), None);
}

#[test]
fn mistakes_are_told_and_placed_as_in_go() {
    for (text, told) in [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("a:\n  b: c\n d: e", "yaml: line 2: did not find expected key"),
        ("a:\n\tb: c", "yaml: line 2: found character that cannot start any token"),
        ("a: *x", "yaml: unknown anchor 'x' referenced"),
        ("a: &a [*a]", "yaml: anchor 'a' value contains itself"),
        ("a: {b: c\n", "yaml: line 1: did not find expected ',' or '}'"),
        ("{\"a\":\"b\"c\":1}", "yaml: did not find expected ',' or '}'"),
        ("a: \"\\q\"", "yaml: found unknown escape character"),
        ("a: \u{1}", "yaml: control characters are not allowed"),
        ("%odd\n", "yaml: found unknown directive name"),
        (
            "? [a, {b: null}]\n: c",
            "yaml: invalid map key: []interface {}{\"a\", map[interface {}]interface {}{\"b\":interface {}(nil)}}",
        ),
        ("~: c", "unsupported map key of type: %!s(<nil>), key: <nil>, value: \"c\""),
        ("a: .inf", "json: unsupported value: +Inf"),
        ("a: !!int b", "yaml: cannot decode !!str `b` as a !!int"),
        ("<<: 1", "yaml: map merge requires map or sequence of maps as the value"),
    ] {
        assert_eq!(refused(text), told, "{text}");
    }
}

#[test]
fn a_block_at_the_end_has_the_end_that_was_written() {
    assert_eq!(value("a: |\n  b"), json!({"a": "b"}));
    assert_eq!(value("a: |\n  b\n"), json!({"a": "b\n"}));
    assert_eq!(value("a: |+\n  b"), json!({"a": "b"}));
    assert_eq!(value("a: >\n  b\n  c"), json!({"a": "b c"}));
    assert_eq!(value("a: |\n  b\n "), json!({"a": "b\n"}));
    assert_eq!(value("a: |\n  b\n#c"), json!({"a": "b\n"}));
}

#[test]
fn texts_have_letters_of_unicode() {
    let wide: Vec<u8> = "\u{feff}a: é".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&wide).unwrap().value, json!({"a": "é"}));
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(refused(b"a: \xff"), "yaml: invalid leading UTF-8 octet");
    assert_eq!(refused(b"a: \xc3b"), "yaml: invalid trailing UTF-8 octet");
    assert_eq!(refused(b"a: \xc3"), "yaml: incomplete UTF-8 octet sequence");
    assert_eq!(refused(&wide[..wide.len() - 1]), "yaml: incomplete UTF-16 character");
    assert_eq!(write(&json!({"a": "\u{7f}"})).unwrap_err().to_string(), "yaml: control characters are not allowed");
    assert_eq!(write(&json!({"a": "\u{1f600}"})).unwrap(), "a: \"\\U0001F600\"\n");
}

#[test]
fn keys_whose_order_goes_in_circles_are_written_all_the_same() {
    let circle: serde_json::Map<_, _> = (0..64)
        .flat_map(|at| [format!("0{at}"), format!("0b{at}"), format!("{at}_0")])
        .map(|key| (key, Value::Null))
        .collect();
    assert_eq!(write(&Value::Object(circle.clone())).unwrap().lines().count(), circle.len());
}

#[test]
fn what_grows_by_aliases_or_in_depth_has_an_end() {
    let level = |at: u32| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 9].join(","));
    let bomb = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, at| text + &level(at));
    assert_eq!(refused(&bomb), "yaml: document contains excessive aliasing");
    let chain = (1..5_000).fold("a0: &a0 [x]\n".to_owned(), |text, at| format!("{text}a{at}: &a{at} [*a{}]\n", at - 1));
    assert!(refused(&chain).starts_with("yaml: exceeded max depth"));
    assert!(refused(&"[".repeat(100_000)).contains("exceeded max depth"));
}

#[test]
fn texts_are_quoted_where_they_would_mean_something_else() {
    for text in ["y", "No", "~", "null", "1", "0x1", "1e3", ".5", ".inf", "2001-01-01", "2001-1-2T3:4:5Z", "12:30", ""]
    {
        assert_eq!(write(&json!({ text: text })).unwrap(), format!("{text:?}: {text:?}\n"));
    }
    for text in ["yy", "1.2.3", "2001-13-01", "2001-01-01T", "-x", "a b", "12:60", "é", "1__a", "<<"] {
        assert_eq!(write(&json!({ text: text })).unwrap(), format!("{text}: {text}\n"));
    }
    assert_eq!(write(&json!({"a": "b: c", "d": " e", "f": "#g"})).unwrap(), "a: 'b: c'\nd: ' e'\nf: '#g'\n");
    assert_eq!(write(&json!({"a": "b\nc\n", "d": "e\n\n"})).unwrap(), "a: |\n  b\n  c\nd: |+\n  e\n\n");
}

#[test]
fn values_are_written_as_go_writes_them() {
    let value =
        json!({"b10": 1, "b9": [1.5, 1e30, 1_234_567.5, 1.0], "A": {}, "_": [], "list": [{"x": null, "y": true}]});
    let text = "_: []\nA: {}\nb9:\n- 1.5\n- 1e+30\n- 1.2345675e+06\n- 1\nb10: 1\nlist:\n- \"y\": true\n  x: null\n";
    let sorted = "_: []\nA: {}\nb9:\n- 1.5\n- 1e+30\n- 1.2345675e+06\n- 1\nb10: 1\nlist:\n- x: null\n  \"y\": true\n";
    assert!(write(&value).unwrap() == sorted, "{text}");
    let long = "word ".repeat(40).trim_end().to_owned();
    let written = write(&json!({ "a": long })).unwrap();
    assert!(written.lines().count() > 1 && written.lines().all(|line| line.len() <= 88), "{written}");
    assert_eq!(read(written.as_bytes()).unwrap().value["a"], long);
}

#[test]
fn tags_before_commas_are_refused_as_go_does() {
    let told = "did not find expected whitespace or line break";
    for text in ["[!,a]", "[\u{e9},!,a]", "\u{feff}[!,a]", "{!<a,b>,c: d}", "a: !x,b"] {
        assert_eq!(refused(text), format!("yaml: {told}"), "{text}");
    }
    for text in ["a: b\nc: [x, &y !!str,z]", "[a]\n[!,b]"] {
        assert_eq!(refused(text), format!("yaml: line 2: {told}"), "{text}");
    }
}

#[test]
fn what_only_looks_like_a_tag_before_a_comma_is_read() {
    assert_eq!(value("[\"!,a\", hey!,b, !!str 1]"), json!(["!,a", "hey!", "b", "1"]));
    assert_eq!(value("a: hey!,b # !,\nb: |\n  !,x"), json!({"a": "hey!,b", "b": "!,x"}));
    assert_eq!(value("[!<tag:yaml.org,2002:str> 1, !!str 2 ,3]"), json!(["1", "2", 3]));
    assert_eq!(value("[!!str 'x!', z, !!str hey!,b]"), json!(["x!", "z", "hey!", "b"]));
    assert_eq!(value("a: b!:,c"), json!({"a": "b!:,c"}));
    assert_eq!(value("'k!,': 1"), json!({"k!,": 1}));
}

#[test]
fn a_text_may_begin_with_any_letter() {
    assert_eq!(value("\u{ff41}: b"), json!({"\u{ff41}": "b"}));
    assert_eq!(value("\u{feff}a: |\n  x"), json!({"a": "x"}));
}

#[test]
fn bombs_are_refused_by_their_levels_and_by_their_bytes() {
    let deep = format!("[\"!,\",{}", "[".repeat(1 << 20));
    assert!(refused(&deep).contains("exceeded max depth"), "{}", refused(&deep));
    let long = "x".repeat(1 << 20);
    assert_eq!(value(&format!("{{a: &a {long}, b: [*a, *a]}}"))["b"][1], json!(long));
    let bomb = format!("{{a: &a {long}, b: [{}]}}", "*a,".repeat(1 << 10));
    assert_eq!(refused(&bomb), "yaml: document contains excessive aliasing");
    let keys = format!("{{a: &a {long}, b: {{{}}}}}", "? *a : 1,".repeat(1 << 10));
    assert_eq!(refused(&keys), "yaml: document contains excessive aliasing");
}
