//! Scripts: whatever the text, every error has its place in it, a failing script changes nothing, and what a script made can be
//! said as a script again.

use std::sync::LazyLock;

use enact::{
    logic::script::{self, Variables},
    model::{Model, library::Library},
};

use crate::sample;

/// A text of this length is read in no time even by a parser that is quadratic; longer ones only slow the search.
const TEXT_MAX_BYTES: usize = 4096;

static WORLD: LazyLock<(Model, Library)> = LazyLock::new(|| {
    let types = sample::types();
    let library = Library::of(&types);
    (types, library)
});

/// Parses, evaluates, prints, and does it again.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(&data[..data.len().min(TEXT_MAX_BYTES)]) else { return };
    let n_chars = text.chars().count() as u32;
    let (parsed, diagnostics) = script::parse(text);
    for diagnostic in &diagnostics {
        let span = diagnostic.span;
        assert!(span.start <= span.end && span.end <= n_chars, "{diagnostic:?} lies outside of {n_chars} characters");
    }
    for at in [0, text.len() / 2, text.len()] {
        if text.is_char_boundary(at) {
            let _ = script::expect_at(text, at);
        }
    }
    let _ = script::is_unfinished(text);
    let (types, library) = &*WORLD;
    let Ok(evaluation) = script::evaluate(&parsed, types, library, &mut Variables::new(), 7) else { return };
    let mut by_edits = types.clone();
    by_edits.apply(&evaluation.edits).expect("the edits of a script that holds can be applied");
    assert!(by_edits == evaluation.model, "the edits make another model than the script");
    let printed = script::print(&evaluation.model);
    let (reparsed, diagnostics) = script::parse(&printed);
    assert!(diagnostics.is_empty(), "what is printed cannot be read: {diagnostics:?}\n{printed}");
    // Types are not said in scripts, so the model starts from the same ones.
    let again = script::evaluate(&reparsed, types, library, &mut Variables::new(), 7);
    if let Err(diagnostics) = again {
        panic!("what is printed does not hold: {diagnostics:?}\n{printed}");
    }
}

/// Scripts that hold, and one with every kind of mistake.
pub fn seeds() -> Vec<Vec<u8>> {
    let wrong = "ad n1 : EnactNode\nadd n1 : : X\nset a.b.c = \"open\nbind n1.x.y z\nmove a b c d\n\u{1F980} \u{0}";
    sample::SCRIPTS.iter().copied().chain([wrong]).map(|text| text.as_bytes().to_vec()).collect()
}
