//! Writes what it receives to a file.

use std::io::Write;

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
    file: Option<std::fs::File>,
}

#[component]
impl FileWriter {
    /// A file that cannot be opened makes the adaptation roll back.
    #[start]
    fn start(&mut self) -> Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).append(!self.truncate).truncate(self.truncate);
        let file = options.open(&self.path).map_err(|error| format!("\"{}\": {error}", self.path))?;
        self.file = Some(file);
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
        let Some(file) = &mut self.file else { return Ok(()) };
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
}
