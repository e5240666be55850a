//! Writes what it receives to a file.

use std::{fs::File, io::Write};

use enact::prelude::*;

/// Appends each message to a file, one line each.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct FileWriter {
    /// The file; made when it is not there.
    #[param]
    path: String,
    /// Whether the file is emptied when the component starts.
    #[param(default = false)]
    truncate: bool,
    /// Lines written so far.
    #[state]
    lines: u64,
    file: Option<File>,
}

#[component]
impl FileWriter {
    /// A file that cannot be opened makes the adaptation roll back.
    #[start]
    fn start(&mut self) -> Result<()> {
        self.file = Some(self.open(self.truncate)?);
        Ok(())
    }

    /// Another file is opened before this one is let go, and never emptied: an adaptation may be undone.
    #[update]
    fn update(&mut self, changed: &Changed) -> Result<()> {
        if changed.has("path") {
            self.file = Some(self.open(false)?);
        }
        Ok(())
    }

    #[stop]
    fn stop(&mut self) -> Result<()> {
        match self.file.take() {
            Some(file) => Ok(file.sync_all()?),
            None => Ok(()),
        }
    }

    /// Texts are written as they are, everything else as JSON.
    #[input]
    fn line(&mut self, message: Value) -> Result<()> {
        let file = self.file.as_mut().ok_or("the file is closed")?;
        match message.as_str() {
            Some(text) => writeln!(file, "{text}")?,
            None => writeln!(file, "{message}")?,
        }
        self.lines += 1;
        Ok(())
    }

    /// How many lines were written so far.
    #[input]
    fn count(&mut self, _ask: ()) -> Result<u64> {
        Ok(self.lines)
    }

    fn open(&self, truncate: bool) -> Result<File> {
        let mut options = File::options();
        options.create(true).write(true).append(!truncate).truncate(truncate);
        options.open(&self.path).map_err(|error| format!("\"{}\": {error}", self.path).into())
    }
}
