//! What a command prints on, and whom it can ask: the real terminal, or a double in tests.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    failure::{Exit, Failure},
    paint,
};

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set; elsewhere with CLICOLOR_FORCE.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Tells the choice to those who print without a [`Term`].
    pub(super) fn for_all(self) {
        match self {
            Colour::Auto => anstream::ColorChoice::Auto,
            Colour::Always => anstream::ColorChoice::AlwaysAnsi,
            Colour::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }

    fn wanted(self, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty() && value != "0");
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto if set("NO_COLOR") => false,
            Colour::Auto if set("CLICOLOR_FORCE") => true,
            Colour::Auto => terminal && variable("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// Where a command writes: data to `out`, everything else to `err`. Colours are taken out where they are not wanted.
pub struct Term {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    colour_out: bool,
    colour_err: bool,
    /// Whether data goes to a terminal.
    pub live_out: bool,
    /// Whether messages go to a terminal: progress bars and redrawing.
    pub live_err: bool,
    /// What the binary is called: hints name commands as the user would type them.
    name: String,
    /// Answers to questions; `None` when nobody can be asked.
    answers: Option<Box<dyn BufRead + Send>>,
}

impl Term {
    /// The process's own.
    pub fn real(colour: Colour) -> Term {
        let variable = |name: &str| std::env::var(name).ok();
        let (live_out, live_err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let asks = io::stdin().is_terminal() && live_err;
        Term {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            colour_out: colour.wanted(live_out, variable),
            colour_err: colour.wanted(live_err, variable),
            live_out,
            live_err,
            name: super::binary_name(),
            answers: asks.then(|| Box::new(io::BufReader::new(io::stdin())) as Box<dyn BufRead + Send>),
        }
    }

    /// A double: what is written can be read, questions are answered line by line from `answers`.
    pub fn captured(answers: Option<&str>) -> (Term, Captured) {
        let captured = Captured::default();
        let term = Term {
            out: Box::new(captured.out.clone()),
            err: Box::new(captured.err.clone()),
            colour_out: false,
            colour_err: false,
            live_out: false,
            live_err: false,
            name: "enact".to_owned(),
            answers: answers
                .map(|text| Box::new(io::Cursor::new(text.to_owned().into_bytes())) as Box<dyn BufRead + Send>),
        };
        (term, captured)
    }

    /// Prints data.
    ///
    /// # Errors
    /// [`Exit::Unread`], to be passed on, when nobody reads any more.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        let text = if self.colour_out { text.to_owned() } else { paint::plain(text) };
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::silent(Exit::Unread),
            _ => Failure::new(Exit::Error, format!("cannot write the output: {error}"), ""),
        })
    }

    /// Says something that is not data. Nobody listening is no failure.
    pub fn say(&mut self, text: &str) {
        let text = text.replace("`enact ", &format!("`{} ", self.name));
        let text = if self.colour_err { text } else { paint::plain(&text) };
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Asks for a yes.
    ///
    /// # Errors
    /// [`Exit::Refused`] on a no, and when nobody can be asked.
    pub fn confirm(&mut self, question: &str) -> Result<(), Failure> {
        let Some(mut answers) = self.answers.take() else {
            let help = "give --yes to apply without being asked";
            return Err(Failure::new(Exit::Refused, "nothing was applied: there is no terminal to ask on", help));
        };
        self.say(&format!("  {question} [y/N] "));
        let mut line = String::new();
        let read = answers.read_line(&mut line);
        self.answers = Some(answers);
        match (read, line.trim().to_lowercase().as_str()) {
            (Ok(_), "y" | "yes") => Ok(()),
            _ => Err(Failure::new(Exit::Refused, "not confirmed; nothing was applied", "")),
        }
    }
}

/// What a double was told.
#[derive(Clone, Default)]
pub struct Captured {
    out: Sink,
    err: Sink,
}

impl Captured {
    /// The data printed so far.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// What was said so far.
    pub fn err(&self) -> String {
        self.err.text()
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_customs() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        assert!(Colour::Auto.wanted(true, env(&[])));
        assert!(!Colour::Auto.wanted(false, env(&[])));
        assert!(!Colour::Auto.wanted(true, env(&[("NO_COLOR", "1")])));
        assert!(Colour::Auto.wanted(true, env(&[("NO_COLOR", "")])));
        assert!(Colour::Auto.wanted(false, env(&[("CLICOLOR_FORCE", "1")])));
        assert!(Colour::Always.wanted(false, env(&[("NO_COLOR", "1")])));
        assert!(!Colour::Auto.wanted(true, env(&[("TERM", "dumb")])));
    }

    #[test]
    fn nobody_to_ask_is_a_no() {
        let (mut term, _) = Term::captured(None);
        let refusal = term.confirm("Apply?").unwrap_err();
        assert_eq!(refusal.exit, Exit::Refused);
        assert!(refusal.help.contains("--yes"));
        let (mut term, captured) = Term::captured(Some("yes\nno\n"));
        assert!(term.confirm("Apply?").is_ok());
        assert!(term.confirm("Apply?").is_err());
        assert!(term.confirm("Apply?").is_err(), "the end of input is a no");
        assert!(captured.err().contains("Apply? [y/N]"));
    }

    #[test]
    fn a_broken_pipe_is_the_end_of_the_work_and_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut term, _) = Term::captured(None);
        term.out = Box::new(Closed);
        term.err = Box::new(Closed);
        term.say("nobody hears this");
        assert_eq!(term.print("nor reads this"), Err(Failure::silent(Exit::Unread)));
    }
}
