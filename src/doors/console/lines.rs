//! Where lines come from: a terminal with history, completion and colours; a pipe; or the command line.

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use reedline::{
    ColumnarMenu, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, default_emacs_keybindings,
};

use super::{
    Names,
    assist::{self, Helper},
};
use crate::doors::cli::{failure::Failure, term::Term};

/// Lines kept over sessions.
const HISTORY_MAX: usize = 5000;

/// The longest line that is read from a pipe.
const LINE_MAX_BYTES: u64 = 16 * 1024 * 1024;

const MENU: &str = "completion";

/// What came.
pub(super) enum Line {
    /// A line, or several that belong together.
    Text(String),
    /// Ctrl-C: the line is given up.
    Interrupted,
    /// No more lines.
    End,
}

/// A source of lines.
pub(super) enum Lines {
    /// A terminal.
    Live { editor: Box<Reedline>, names: Names },
    /// A pipe or file.
    Piped(Box<dyn BufRead + Send>),
    /// Given before.
    Given(VecDeque<String>),
}

impl Lines {
    /// The lines given, else the terminal, else standard input as it is.
    pub(super) fn open(given: &[String], term: &Term) -> Result<Lines, Failure> {
        if !given.is_empty() {
            return Ok(Lines::Given(given.iter().cloned().collect()));
        }
        if !(io::stdin().is_terminal() && term.live_out) {
            return Ok(Lines::Piped(Box::new(io::BufReader::new(io::stdin()))));
        }
        let names = Names::default();
        Ok(Lines::Live { editor: Box::new(editor(Helper(names.clone()))), names })
    }

    /// Whether a person is there.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Lines::Live { .. })
    }

    /// Tells what can be completed from now on.
    pub(super) fn assist(&mut self, fresh: assist::Names) {
        if let Lines::Live { names, .. } = self {
            *names.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        }
    }

    /// The next line.
    pub(super) fn next(&mut self, prompt: &str) -> Result<Line, Failure> {
        match self {
            Lines::Given(lines) => Ok(lines.pop_front().map_or(Line::End, Line::Text)),
            Lines::Piped(reader) => {
                let mut line = String::new();
                let n = io::Read::take(&mut **reader, LINE_MAX_BYTES).read_line(&mut line)?;
                Ok(if n == 0 { Line::End } else { Line::Text(line.trim_end_matches(['\n', '\r']).to_owned()) })
            }
            // The editor waits for keys on this thread; requests of the session are never under way meanwhile.
            Lines::Live { editor, .. } => {
                let read = tokio::task::block_in_place(|| editor.read_line(&Sign(prompt.to_owned())));
                match read {
                    Ok(Signal::Success(text)) => Ok(Line::Text(text)),
                    Ok(Signal::CtrlD) => Ok(Line::End),
                    Ok(_) => Ok(Line::Interrupted),
                    Err(error) => Err(Failure::from(io::Error::other(error.to_string()))),
                }
            }
        }
    }
}

fn editor(helper: Helper) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let menu = ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, menu);
    keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, ReedlineEvent::Edit(vec![EditCommand::InsertNewline]));
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let editor = Reedline::create()
        .with_completer(Box::new(helper.clone()))
        .with_highlighter(Box::new(helper.clone()))
        .with_validator(Box::new(helper))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU))))
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_ansi_colors(colour);
    // Without a place for the history there is none; the session works all the same.
    match history_file().and_then(|file| FileBackedHistory::with_file(HISTORY_MAX, file).ok()) {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// `$XDG_STATE_HOME/enact/history`
fn history_file() -> Option<PathBuf> {
    let directory = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state =
        directory("XDG_STATE_HOME").or_else(|| directory("HOME").map(|home| home.join(".local").join("state")))?;
    Some(state.join("enact").join("history"))
}

/// `enact r5*> `
struct Sign(String);

impl Prompt for Sign {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }
    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("  … ")
    }
    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}
