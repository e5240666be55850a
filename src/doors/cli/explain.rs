//! `enact explain`: the long texts behind codes, statements, types and exit codes.

use super::{
    args::ExplainArgs,
    failure::{Exit, Failure},
    paint,
    render::types,
    term::Term,
};
use crate::{
    logic::script::{self, Code, Keyword},
    model::check,
    runtime::instance::Catalog,
};

/// The exit codes of every verb.
const EXIT_CODES: &str = "\
0  done, or nothing to change
1  an error: a wrong script, a file that cannot be read, a name that is not there
2  wrong use of the command
3  the plan has changes, or the diff differs (only with --exit-code)
4  refused: the plan is stale, nobody confirmed, or it is forbidden
5  applied, and rolled back by a node
6  applied, but something has no place or partner
7  no answer in time; nothing was cancelled
8  no node could be reached
";

/// What the marks of a plan mean.
const MARKS: &str = "\
+    added
-    removed
~    changed in place
-/+  replaced: another type under the same name; its state is kept when it is the same component
>    moved to another node, with its state
!    unresolved, or a warning
";

/// Words that are explained besides codes, statements and types.
const TOPICS: &[(&str, &str)] = &[("exit", EXIT_CODES), ("marks", MARKS)];

/// `enact explain`
pub(super) fn run(args: &ExplainArgs, catalog: &Catalog, term: &mut Term) -> Result<(), Failure> {
    let words: Vec<&str> = args.what.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => term.print(&contents()),
        ["type", name] => explain_type(name, catalog, term),
        [word] => match text(word) {
            Some(text) => term.print(&text),
            None => explain_type(word, catalog, term),
        },
        _ => Err(unknown(&words.join(" "))),
    }
}

/// The text about a code, a statement or a topic. The console's `:help TOPIC` prints the same.
pub(crate) fn text(word: &str) -> Option<String> {
    if let Some(text) = script::explain(word) {
        return Some(format!("{text}\n"));
    }
    if let Some((code, text)) = check::CODES.iter().find(|(code, _)| code.eq_ignore_ascii_case(word)) {
        return Some(format!("{code}: {}\n", text.lines().map(str::trim).collect::<Vec<_>>().join("\n")));
    }
    if let Some(keyword) = Keyword::of(word) {
        return Some(format!("{}\n\n    {}\n", keyword.help(), paint::bold(keyword.form())));
    }
    TOPICS.iter().find(|(topic, _)| *topic == word).map(|(_, text)| (*text).to_owned())
}

fn explain_type(name: &str, catalog: &Catalog, term: &mut Term) -> Result<(), Failure> {
    let found: Vec<String> = catalog
        .iter()
        .filter(|bundle| bundle.definition.id.name.as_str().eq_ignore_ascii_case(name))
        .map(|bundle| types::one(&types::Offer { definition: &bundle.definition, nodes: &[] }))
        .collect();
    if found.is_empty() { Err(unknown(name)) } else { term.print(&found.join("\n")) }
}

fn unknown(what: &str) -> Failure {
    let words = Code::ALL.iter().map(|code| code.as_str());
    let words =
        words.chain(Keyword::ALL.iter().map(|keyword| keyword.as_str())).chain(TOPICS.iter().map(|(topic, _)| *topic));
    let help = script::diagnostic::did_you_mean(what, words);
    let help = if help.is_empty() {
        "`explain` alone lists what can be explained; `types NAME` asks the group for a type that this binary does not have".to_owned()
    } else {
        help
    };
    Failure::new(Exit::Error, format!("there is nothing to explain about \"{what}\""), help)
}

/// All that can be explained.
fn contents() -> String {
    let mut text = format!("{}\n", paint::bold("statements"));
    for keyword in Keyword::ALL {
        text.push_str(&format!("  {:<10}  {}\n", keyword.as_str(), keyword.help()));
    }
    text.push_str(&format!("\n{}\n", paint::bold("codes")));
    for code in Code::ALL {
        text.push_str(&format!("  {:<10}  {}\n", code.as_str(), code.title()));
    }
    text.push_str(&format!("\n{}\n", paint::bold("faults of models")));
    for (code, about) in check::CODES {
        text.push_str(&format!("  {code:<10}  {}\n", about.lines().next().unwrap_or_default().trim()));
    }
    text.push_str(&format!("\n{}\n  exit, marks, and `type NAME`\n", paint::bold("more")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_statement_has_a_text() {
        for code in Code::ALL {
            assert!(text(code.as_str()).is_some_and(|text| text.len() > 40), "{code}");
        }
        for (code, _) in check::CODES {
            assert!(text(code).is_some_and(|text| text.len() > 20), "{code}");
        }
        for keyword in Keyword::ALL {
            assert!(text(keyword.as_str()).is_some_and(|text| text.contains(keyword.form())));
        }
        assert!(text("exit").unwrap().contains("rolled back"));
    }

    #[test]
    fn a_typing_error_gets_a_suggestion() {
        let (mut term, _) = Term::captured(None);
        let failure = run(&ExplainArgs { what: vec!["E0230".into()] }, &Catalog::default(), &mut term).unwrap_err();
        assert!(failure.help.contains("E02"), "{failure:?}");
    }
}
