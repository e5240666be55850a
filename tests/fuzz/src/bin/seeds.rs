//! Writes the seeds of every entry where cargo-fuzz looks for them: `cargo run -p enact-fuzz --bin seeds -- FOLDER`.

use std::{env, fs, io, path::PathBuf, process::ExitCode};

use enact_fuzz::ENTRIES;

fn write(folder: &std::path::Path) -> io::Result<()> {
    for entry in ENTRIES {
        let corpus = folder.join(entry.name);
        fs::create_dir_all(&corpus)?;
        for (idx, seed) in (entry.seeds)().iter().enumerate() {
            fs::write(corpus.join(format!("seed-{idx}")), seed)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: say the folder of the corpus, as in: seeds tests/fuzz/libfuzzer/corpus");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
