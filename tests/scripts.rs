//! Scripts a person can read, and what becomes of them: `tests/golden/scripts/NAME.kevs` beside its `.out`, which holds the
//! script of the resulting model, or the errors as they are drawn. `ENACT_BLESS=1 cargo test --test scripts` writes them anew.

use std::{fs, path::Path};

use enact::{
    doors::cli::draw::draw_with,
    logic::script::{Variables, evaluate, parse, print},
    model::{Model, library::Library},
};

fn outcome(name: &str, text: &str, library: &Library) -> String {
    let (script, diagnostics) = parse(text);
    let told = if diagnostics.is_empty() {
        match evaluate(&script, &Model::default(), library, &mut Variables::new(), 0) {
            Ok(done) => return draw_with(false, name, text, &done.warnings) + &print(&done.model),
            Err(told) => told,
        }
    } else {
        diagnostics
    };
    draw_with(false, name, text, &told)
}

#[test]
fn each_script_comes_to_what_is_written_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scripts");
    let types = fs::read_to_string(folder.join("types.json")).expect("the types are there");
    let library = Library::read(&types).expect("the types are good");
    let mut n_scripts = 0;
    for entry in fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "kevs") {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let found = outcome(name, &fs::read_to_string(&path).expect("it can be read"), &library);
        let beside = path.with_extension("out");
        if std::env::var_os("ENACT_BLESS").is_some() {
            fs::write(&beside, &found).expect("it can be written");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert!(found == expected, "{name} comes to:\n{found}");
        n_scripts += 1;
    }
    assert!(n_scripts >= 4, "only {n_scripts} scripts were found");
}
