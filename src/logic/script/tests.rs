//! Reading scripts: what is told, where, and that a printed script is read again.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Code, Expectation as E, expect_at, is_unfinished, parse, testing::DEMO};

fn told(text: &str) -> Vec<(Code, &str)> {
    parse(text).1.iter().map(|one| (one.code, &text[one.span.bytes(text)])).collect()
}

#[test]
fn every_error_of_a_text_is_told() {
    let text = "add node0 JavascriptNode
ad node1 : T
add node2 : T/5.3.2-SNAPSHOT
set node0.a = true
bind node0.t.p
attach node0, sync ? more
remove node0 .t
set x.y = 'open
start é";
    assert_eq!(
        told(text),
        [
            (Code::Unexpected, "JavascriptNode"),
            (Code::UnknownStatement, "ad"),
            (Code::BadVersion, "5.3.2-SNAPSHOT"),
            (Code::Unexpected, "true"),
            (Code::Unexpected, ""),
            (Code::BadCharacter, "?"),
            (Code::Unexpected, "."),
            (Code::UnclosedString, "'open"),
            (Code::BadCharacter, "é"),
        ]
    );
}

#[test]
fn what_is_missing_is_told_behind_the_last_word() {
    let text = "bind node0.t.p\n\n// later\nadd n : T";
    let (_, diagnostics) = parse(text);
    assert_eq!((diagnostics[0].span.start, diagnostics[0].span.end), (14, 14));
    assert!(diagnostics[0].message.contains("a channel"), "{}", diagnostics[0].message);
}

#[test]
fn a_script_larger_than_the_limit_is_refused() {
    assert_eq!(parse(&" ".repeat(super::parse::SCRIPT_BYTES_MAX + 1)).1[0].code, Code::TooLarge);
}

#[test]
fn a_statement_that_is_still_open_is_told_apart_from_a_wrong_one() {
    for open in ["add n", "add n,", "set a.b = 'x", "bind n.t.p", "add n : T/", "add n : T/1/{js:"] {
        assert!(is_unfinished(open), "{open}");
    }
    for done in ["", "add n : T", "add n ? T", "ad", "// add"] {
        assert!(!is_unfinished(done), "{done}");
    }
}

#[test]
fn what_may_come_follows_from_what_stands_before() {
    let at = |text: &str| expect_at(text, text.len()).expected;
    let text = |text: &str| text.to_owned();
    assert_eq!(at(""), [E::Keyword]);
    assert_eq!(at("ad"), [E::Keyword]);
    assert_eq!(expect_at("add n : Ti", 10).replace, 8..10);
    assert_eq!(at("add n : "), [E::Type]);
    assert_eq!(at("add n"), [E::NewName, E::Node]);
    assert_eq!(at("add n : Ticker/"), [E::TypeVersion(text("Ticker"))]);
    assert!(at("add n : a.Ticker/1/").contains(&E::UnitVersion(text("a.Ticker"))));
    assert!(at("add n : Ticker/1/{").contains(&E::Platform(text("Ticker"))));
    assert_eq!(at("bind node0."), [E::Component(text("node0"))]);
    assert_eq!(at("bind node0.t."), [E::Port(text("node0"), text("t"))]);
    assert_eq!(at("bind node0.t.p "), [E::Channel]);
    assert_eq!(at("set node0.t."), [E::Attribute(vec![text("node0"), text("t")])]);
    assert_eq!(at("set node0.x = "), [E::Value(vec![text("node0"), text("x")])]);
    assert_eq!(at("set sync.port/"), [E::FragmentNode(vec![text("sync"), text("port")])]);
    assert_eq!(at("attach n, "), [E::Node]);
    assert_eq!(at("attach n "), [E::Sign(","), E::Group]);
    assert_eq!(at("start n "), [E::Sign(","), E::Keyword]);
    assert_eq!(at("start n // "), []);
    assert_eq!(at("move a.b "), [E::Sign(","), E::Node]);
}

/// A well-formed script, as text.
fn statement() -> impl Strategy<Value = String> {
    let word = || {
        prop_oneof!["[a-zA-Z0-9_-]{1,6}", select(vec!["*", "%v%", "%%g%%", "add", "-", "host"]).prop_map(str::to_owned)]
    };
    let path = move || vec(word(), 1..4).prop_map(|parts| parts.join("."));
    let paths = move || vec(path(), 1..4).prop_map(|paths| paths.join(" , "));
    let quoted = || {
        prop_oneof![
            "'[^'\\\\\r]{0,8}'",
            "\"[^\"\\\\\r]{0,8}\"",
            Just("%v%".to_owned()),
            Just("%%v%%".to_owned()),
            Just("'\\'\\\\'".to_owned())
        ]
    };
    let version = || {
        select(vec![
            "",
            "/1",
            "/2.0.1",
            "/LATEST",
            "/%v%",
            "/1/RELEASE",
            "/LATEST/%du%",
            "/1/{}",
            "/1/{ js : '1-b' , java: LATEST,}",
        ])
    };
    let spec =
        move || ("[a-zA-Z_][a-zA-Z0-9_]{0,5}", version()).prop_map(|(name, version)| format!("x.{name}{version}"));
    prop_oneof![
        (select(vec!["add", "upgrade"]), paths(), spec())
            .prop_map(|(verb, names, spec)| format!("{verb} {names} : {spec}")),
        (select(vec!["remove", "start", "stop", "unhost", "scope", "unscope", "pause"]), paths())
            .prop_map(|(verb, names)| format!("{verb} {names}")),
        (select(vec!["move", "host", "attach", "detach", "enter", "leave"]), paths(), path())
            .prop_map(|(v, n, to)| format!("{v} {n} {to}")),
        (select(vec!["bind", "unbind"]), path(), path())
            .prop_map(|(verb, port, channel)| format!("{verb} {port} {channel}")),
        (path(), path(), quoted()).prop_map(|(path, node, value)| format!("set {path} / {node} = {value}")),
        (path(), quoted()).prop_map(|(path, value)| format!("set {path}={value}")),
        (select(vec!["unset", "unnetwork", "unproperty", "unmeta"]), path())
            .prop_map(|(verb, path)| format!("{verb} {path}")),
        (select(vec!["network", "property", "meta"]), path(), quoted())
            .prop_map(|(verb, path, value)| format!("{verb} {path}.'a b' {value}")),
        path().prop_map(|path| format!("network {path} fe80::1@%2 // end\n")),
        Just("repo 'http://x' include mvn:a.b:c/d".replace("/d", "")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_printed_script_is_read_as_it_was(statements in vec(statement(), 0..12)) {
        let text = statements.join("\n");
        let (script, diagnostics) = parse(&text);
        prop_assert!(diagnostics.is_empty(), "{}\n{:?}", text, diagnostics);
        prop_assert!(script.statements.len() >= statements.len());
        let (again, diagnostics) = parse(&script.to_string());
        prop_assert!(diagnostics.is_empty(), "{}\n{:?}", script, diagnostics);
        prop_assert_eq!(again, script);
    }

    #[test]
    fn any_text_is_read_to_its_end(text in any::<String>(), cut in 0usize..400) {
        let _ = parse(&text);
        let _ = expect_at(&text, cut);
        let half = DEMO.chars().take(cut).collect::<String>() + &text;
        for one in parse(&half).1 {
            prop_assert!(one.span.end as usize <= half.chars().count());
            let _ = &half[one.span.bytes(&half)];
        }
    }

    #[test]
    fn a_script_in_pieces_never_panics(pieces in vec(select(vec![
        "add ", "set", "bind ", "%", "%%", "x", ".", ",", ":", "/", "=", "'", "\"", "\\", "{", "}", "\n", "\r\n", "//", "*", " ", "é", "LATEST", "1.2",
    ]), 0..60)) {
        let text = pieces.concat();
        let (script, diagnostics) = parse(&text);
        let _ = expect_at(&text, text.len());
        if diagnostics.is_empty() {
            prop_assert_eq!(parse(&script.to_string()).0, script);
        }
    }
}
