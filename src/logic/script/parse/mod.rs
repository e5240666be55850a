//! Text to script by recursive descent. Every error is reported: after one, reading goes on at the next statement.

mod cursor;
mod types;
mod words;

use super::{
    diagnostic::{Code, Diagnostic, Span, closest, did_you_mean},
    expect::{Expectation, Role},
    statement::{Keyword, Path, Place, Script, Statement, Verb},
    token::{Token, TokenKind, tokens},
};

pub(super) use types::version_of;

/// The most bytes of a script: far above what people and generators write, far below what hurts.
pub const SCRIPT_BYTES_MAX: usize = 16 << 20;

/// Reads a script. What could be read is in the script even when there are errors; do not carry it out then.
pub fn parse(text: &str) -> (Script, Vec<Diagnostic>) {
    if text.len() > SCRIPT_BYTES_MAX {
        let message = format!("the script has {} bytes, at most {SCRIPT_BYTES_MAX} are read", text.len());
        return (Script::default(), vec![Diagnostic::new(Code::TooLarge, Span::default(), message)]);
    }
    let mut parser = Parser::new(text, None);
    let script = parser.script();
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    (script, diagnostics)
}

/// Whether the text ends in the middle of a statement: a console then asks for another line.
pub fn is_unfinished(text: &str) -> bool {
    let (_, diagnostics) = parse(text);
    let open = |code| matches!(code, Code::UnexpectedEnd | Code::UnclosedString);
    !diagnostics.is_empty() && diagnostics.iter().all(|diagnostic| open(diagnostic.code))
}

/// An error was reported; the statement is given up.
pub(super) struct GivenUp;
type Read<T> = Result<T, GivenUp>;

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    diagnostics: Vec<Diagnostic>,
    /// What could have come at the end of the text; only gathered for completion.
    expected: Option<Vec<Expectation>>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, expected: Option<Vec<Expectation>>) -> Parser<'a> {
        let mut tokens = tokens(text);
        // A comment that reaches the end hides the end: nothing is expected within a comment.
        let in_comment = matches!(tokens.as_slice(), [.., last, end]
            if last.kind == TokenKind::Comment && last.bytes.end == end.bytes.start);
        let expected = expected.filter(|_| !in_comment);
        tokens.retain(|token| token.kind != TokenKind::Comment);
        Parser { text, tokens, at: 0, diagnostics: Vec::new(), expected }
    }

    /// What may come at the end of `text`.
    pub(super) fn listen(text: &'a str) -> Vec<Expectation> {
        let mut parser = Parser::new(text, Some(Vec::new()));
        parser.script();
        parser.expected.unwrap_or_default()
    }

    fn script(&mut self) -> Script {
        let mut script = Script::default();
        loop {
            self.may_come([Expectation::Keyword]);
            let start = self.at;
            if self.peek().kind == TokenKind::End {
                return script;
            }
            let first = self.peek().span;
            match self.statement() {
                Ok(verb) => {
                    let place = Place(first.to(self.previous().span));
                    script.statements.push(Statement { verb, place });
                }
                Err(GivenUp) => {
                    self.resynchronise(start);
                    if self.peek().kind == TokenKind::End {
                        // The last statement is wrong, or still open: no new one is expected here.
                        return script;
                    }
                }
            }
        }
    }

    /// Goes to the next line that starts with a keyword, or with what was probably meant to be one.
    fn resynchronise(&mut self, start: usize) {
        if self.at == start {
            self.next();
        }
        while self.peek().kind != TokenKind::End && !(self.begins_statement() || self.begins_misspelt()) {
            self.next();
        }
    }

    /// Whether the next statement begins here: a keyword, first on its line, and nothing says that the line before goes on.
    fn begins_statement(&self) -> bool {
        self.peek().first_on_line && !self.goes_on() && self.at_keyword().is_some()
    }

    fn begins_misspelt(&self) -> bool {
        let token = self.peek();
        if !token.first_on_line || token.kind != TokenKind::Word || self.goes_on() {
            return false;
        }
        let word = self.text_of(token);
        let mut keywords = Keyword::ALL.iter().map(|keyword| keyword.as_str());
        keywords.clone().any(|keyword| word.starts_with(keyword)) || closest(word, &mut keywords).is_some()
    }

    fn goes_on(&self) -> bool {
        use TokenKind::{Colon, Comma, Dot, Equals, Open, Slash};
        self.at > 0 && matches!(self.previous().kind, Comma | Colon | Dot | Equals | Slash | Open)
    }

    fn statement(&mut self) -> Read<Verb> {
        let Some(keyword) = self.at_keyword() else { return Err(self.unknown_statement()) };
        self.next();
        Ok(match keyword {
            Keyword::Add => Verb::Add(self.paths(Role::New)?, self.type_after_colon()?),
            Keyword::Upgrade => Verb::Upgrade(self.paths(Role::Instance)?, self.type_after_colon()?),
            Keyword::Remove => Verb::Remove(self.paths(Role::Instance)?),
            Keyword::Move => Verb::Move(self.paths(Role::Movable)?, self.path(Role::Node)?),
            Keyword::Host => Verb::Host(self.paths(Role::Node)?, self.path(Role::Node)?),
            Keyword::Unhost => Verb::Unhost(self.paths(Role::Node)?),
            Keyword::Attach => Verb::Attach(self.paths(Role::Node)?, self.path(Role::Group)?),
            Keyword::Detach => Verb::Detach(self.paths(Role::Node)?, self.path(Role::Group)?),
            Keyword::Set => self.set()?,
            Keyword::Unset => {
                let path = self.path(Role::Attribute)?;
                let fragment = self.fragment(&path)?;
                Verb::Unset(path, fragment)
            }
            Keyword::Bind => Verb::Bind(self.path(Role::Port)?, self.path(Role::Channel)?),
            Keyword::Unbind => Verb::Unbind(self.path(Role::Port)?, self.path(Role::Channel)?),
            Keyword::Start => Verb::Start(self.paths(Role::Instance)?),
            Keyword::Stop => Verb::Stop(self.paths(Role::Instance)?),
            Keyword::Network => Verb::Network(self.path(Role::Network)?, self.address()?),
            Keyword::Unnetwork => Verb::Unnetwork(self.path(Role::Network)?),
            Keyword::Property => Verb::Property(self.path(Role::Property)?, self.value(Expectation::Quoted)?),
            Keyword::Unproperty => Verb::Unproperty(self.path(Role::Property)?),
            Keyword::Meta => Verb::Meta(self.path(Role::Annotation)?, self.value(Expectation::Quoted)?),
            Keyword::Unmeta => Verb::Unmeta(self.path(Role::Annotation)?),
            Keyword::Scope => Verb::Scope(self.paths(Role::NewScope)?),
            Keyword::Unscope => Verb::Unscope(self.paths(Role::Scope)?),
            Keyword::Enter => Verb::Enter(self.paths(Role::Node)?, self.path(Role::Scope)?),
            Keyword::Leave => Verb::Leave(self.paths(Role::Node)?, self.path(Role::Scope)?),
            Keyword::Repo | Keyword::Include | Keyword::Namespace | Keyword::Pause => self.deprecated(keyword)?,
        })
    }

    fn unknown_statement(&mut self) -> GivenUp {
        let token = self.peek().clone();
        if token.kind != TokenKind::Word {
            return self.fail("a statement");
        }
        let word = self.text_of(&token);
        let glued = Keyword::ALL.iter().filter(|keyword| word.starts_with(keyword.as_str()));
        let help = match glued.max_by_key(|keyword| keyword.as_str().len()) {
            Some(keyword) => {
                let rest = &word[keyword.as_str().len()..];
                format!("a blank is needed after a keyword: `{} {rest}`", keyword.as_str())
            }
            None => did_you_mean(word, Keyword::ALL.iter().map(|keyword| keyword.as_str())),
        };
        let message = format!("no statement starts with `{word}`");
        self.report(Diagnostic::new(Code::UnknownStatement, token.span, message).help(help))
    }

    fn set(&mut self) -> Read<Verb> {
        let path = self.path(Role::Attribute)?;
        let fragment = self.fragment(&path)?;
        self.sign(TokenKind::Equals, "=")?;
        let value = self.value(Expectation::Value(path.parts.iter().map(super::expect::said).collect()))?;
        Ok(Verb::Set(path, fragment, value))
    }

    fn fragment(&mut self, path: &Path) -> Read<Option<Path>> {
        self.may_come([Expectation::Sign("/")]);
        if !self.take(TokenKind::Slash) {
            return Ok(None);
        }
        self.may_come([Expectation::FragmentNode(path.parts.iter().map(super::expect::said).collect())]);
        self.path(Role::Fragment).map(Some)
    }

    fn deprecated(&mut self, keyword: Keyword) -> Read<Verb> {
        let start = self.peek().bytes.start;
        match keyword {
            Keyword::Repo => drop(self.value(Expectation::Quoted)?),
            Keyword::Include => {
                self.word("a kind such as `mvn`")?;
                self.sign(TokenKind::Colon, ":")?;
                self.bare("a name")?;
            }
            Keyword::Pause => drop(self.paths(Role::Instance)?),
            _ => drop(self.word("a name")?),
        }
        Ok(Verb::Deprecated(keyword, self.text[start..self.previous().bytes.end].into()))
    }
}
