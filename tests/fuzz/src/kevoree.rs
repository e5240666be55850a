//! Models as JSON, Kevoree's and Enact's, and files of types: a model that was read can be written and read again, and is the same.

use enact::model::{json, kmf, library::Library};

use crate::sample;

/// Reads the text as all three.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(model) = kmf::read(text) {
        let written = kmf::write(&model);
        match kmf::read(&written) {
            Ok(again) => assert!(again == model, "another model after writing and reading:\n{written}"),
            Err(error) => panic!("what was written cannot be read: {error}\n{written}"),
        }
        let _ = enact::model::check::check(&model);
    }
    if let Ok(model) = json::read(text) {
        let written = json::write(&model);
        match json::read(&written) {
            Ok(again) => assert!(again == model, "another model after writing and reading:\n{written}"),
            Err(error) => panic!("what was written cannot be read: {error}\n{written}"),
        }
        let _ = enact::model::check::check(&model);
    }
    let _ = Library::read(text);
}

/// Models in both forms.
pub fn seeds() -> Vec<Vec<u8>> {
    let models = (0..sample::SCRIPTS.len()).map(sample::model);
    models.flat_map(|model| [kmf::write(&model).into_bytes(), json::write(&model).into_bytes()]).collect()
}
