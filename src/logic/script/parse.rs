//! Text to script by recursive descent. Every error is reported: after one, reading goes on at the next statement.

use std::sync::Arc;

use super::{
    diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic, Span, closest, did_you_mean},
    expect::{Expectation, Role},
    statement::{Keyword, Part, Path, Place, Script, Statement, Text, TypeSpec, Units, Verb, Version, Wish, Word},
    token::{Token, TokenKind, is_bare, tokens, unquote},
};

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

    // --- lists and paths -------------------------------------------------------------------------------------------

    fn paths(&mut self, role: Role) -> Read<Vec<Path>> {
        let mut paths = vec![self.path(role)?];
        self.may_come([Expectation::Sign(",")]);
        while self.take(TokenKind::Comma) {
            paths.push(self.path(role)?);
            self.may_come([Expectation::Sign(",")]);
        }
        Ok(paths)
    }

    fn path(&mut self, role: Role) -> Read<Path> {
        let mut parts: Vec<Part> = Vec::new();
        loop {
            self.may_come(role.expects(&parts));
            parts.push(self.part(role, !parts.is_empty())?);
            if !(self.peek().kind == TokenKind::Dot && self.previous().touches(self.peek())) {
                break;
            }
            self.next();
        }
        let place = Place(parts[0].span().to(parts[parts.len() - 1].span()));
        Ok(Path { parts, place })
    }

    fn part(&mut self, role: Role, after_dot: bool) -> Read<Part> {
        let token = self.peek().clone();
        if after_dot && token.kind != TokenKind::End && !self.previous().touches(&token) {
            return Err(self.fail("a name right after the dot"));
        }
        let text = self.text_of(&token);
        let word = match token.kind {
            TokenKind::Star => Word::Any,
            TokenKind::Word if !self.begins_statement() => Word::Name(text.into()),
            TokenKind::Variable => Word::Variable(text.trim_matches('%').into()),
            TokenKind::Generated => Word::Generated(text.trim_matches('%').into()),
            TokenKind::Quoted if after_dot => Word::Quoted(unquote(text).into()),
            _ if after_dot => return Err(self.fail("a name after the dot")),
            _ => return Err(self.fail(role.form())),
        };
        self.next();
        Ok(Part { word, place: Place(token.span) })
    }

    // --- values ----------------------------------------------------------------------------------------------------

    fn value(&mut self, expectation: Expectation) -> Read<Text> {
        self.may_come([expectation]);
        let token = self.peek().clone();
        let text = self.text_of(&token);
        let word = match token.kind {
            TokenKind::Quoted => Word::Quoted(unquote(text).into()),
            TokenKind::Variable => Word::Variable(text.trim_matches('%').into()),
            TokenKind::Generated => Word::Generated(text.trim_matches('%').into()),
            TokenKind::Word if !self.begins_statement() => {
                let bare = self.bare("a value in quotes")?;
                let Word::Name(text) = &bare.word else { return Ok(bare) };
                let message = format!("a value stands in quotes, found `{text}`");
                let diagnostic = Diagnostic::new(Code::Unexpected, bare.place.0, message);
                self.report(diagnostic.help(format!("write '{text}'")));
                // What is meant is clear: the statement goes on.
                return Ok(bare);
            }
            _ => return Err(self.fail("a value in quotes")),
        };
        self.next();
        Ok(Text { word, place: Place(token.span) })
    }

    fn address(&mut self) -> Read<Text> {
        self.may_come([Expectation::Address]);
        match self.peek().kind {
            TokenKind::Quoted | TokenKind::Variable | TokenKind::Generated => self.value(Expectation::Address),
            _ => self.bare("an address such as `192.168.0.1`"),
        }
    }

    /// Letters, digits and `. : % @ _ -` in one piece, whatever tokens they were cut into.
    fn bare(&mut self, wanted: &'static str) -> Read<Text> {
        let token = self.peek().clone();
        let rest = &self.text[token.bytes.start..];
        let length = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
        let end = token.bytes.start + length;
        if length == 0 || self.begins_statement() {
            return Err(self.fail(wanted));
        }
        let mut last = token.span;
        while self.peek().bytes.start < end {
            last = self.next().span;
        }
        Ok(Text { word: Word::Name(rest[..length].into()), place: Place(token.span.to(last)) })
    }

    fn word(&mut self, wanted: &'static str) -> Read<Arc<str>> {
        self.may_come([Expectation::Key]);
        match self.peek().kind {
            TokenKind::Word => {
                let token = self.next();
                Ok(self.text_of(&token).into())
            }
            _ => Err(self.fail(wanted)),
        }
    }

    fn sign(&mut self, kind: TokenKind, sign: &'static str) -> Read<()> {
        self.may_come([Expectation::Sign(sign)]);
        if self.take(kind) { Ok(()) } else { Err(self.fail(&format!("`{sign}`"))) }
    }

    // --- types -----------------------------------------------------------------------------------------------------

    fn type_after_colon(&mut self) -> Read<TypeSpec> {
        self.sign(TokenKind::Colon, ":")?;
        self.may_come([Expectation::Type]);
        let first = self.peek().span;
        let mut name = String::new();
        loop {
            let wanted = if name.is_empty() {
                "a type such as `Ticker` or `enact.Ticker/1.0.0`"
            } else {
                "a type's name after the dot"
            };
            let TokenKind::Word = self.peek().kind else { return Err(self.fail(wanted)) };
            let token = self.next();
            name.push_str(self.text_of(&token));
            if !(self.peek().kind == TokenKind::Dot && self.previous().touches(self.peek())) {
                break;
            }
            self.next();
            name.push('.');
            self.may_come([Expectation::Type]);
        }
        let name_place = Place(first.to(self.previous().span));
        let (mut version, mut units) = (Version::Unsaid, Units::Unsaid);
        self.may_come([Expectation::Sign("/")]);
        if self.take(TokenKind::Slash) {
            self.may_come([Expectation::TypeVersion(name.clone())]);
            version = self.type_version()?;
            self.may_come([Expectation::Sign("/")]);
            if self.take(TokenKind::Slash) {
                self.may_come([Expectation::UnitVersion(name.clone())]);
                units = self.units(&name)?;
            }
        }
        let (namespace, name) = match name.rsplit_once('.') {
            Some((namespace, name)) => (Some(namespace.into()), name.into()),
            None => (None, name.into()),
        };
        Ok(TypeSpec { namespace, name, version, units, place: Place(first.to(self.previous().span)), name_place })
    }

    fn type_version(&mut self) -> Read<Version> {
        let token = self.peek().clone();
        if token.kind == TokenKind::Variable {
            self.next();
            return Ok(Version::Variable(self.text_of(&token).trim_matches('%').into(), Place(token.span)));
        }
        let bare = self.bare("a version such as `1` or `2.0.0`")?;
        let Word::Name(text) = &bare.word else { return Err(self.fail("a version")) };
        match version_of(text) {
            Some(version) => Ok(version),
            None => {
                let message = format!("`{text}` is no version of a type");
                let diagnostic = Diagnostic::new(Code::BadVersion, bare.place.0, message);
                Err(self.report(diagnostic.help(
                    "a number, numbers with dots, or LATEST; units go into a third part: `/1/{js: '5.3.2-SNAPSHOT'}`",
                )))
            }
        }
    }

    fn units(&mut self, type_name: &str) -> Read<Units> {
        if !self.take(TokenKind::Open) {
            return self.wish(false).map(Units::Tag);
        }
        let mut each = Vec::new();
        loop {
            self.may_come([Expectation::Platform(type_name.to_owned()), Expectation::Sign("}")]);
            if self.take(TokenKind::Close) {
                return Ok(Units::Each(each));
            }
            let platform = self.word("a platform such as `js`, or `}`")?;
            self.sign(TokenKind::Colon, ":")?;
            each.push((platform, self.wish(true)?));
            self.may_come([Expectation::Sign(","), Expectation::Sign("}")]);
            if !self.take(TokenKind::Comma) && self.peek().kind != TokenKind::Close {
                return Err(self.fail("`,` or `}`"));
            }
        }
    }

    /// One wish for a unit; a version in quotes only where a platform stands before it.
    fn wish(&mut self, exact: bool) -> Read<Wish> {
        self.may_come([Expectation::Sign("RELEASE"), Expectation::Sign("LATEST")]);
        let token = self.peek().clone();
        let text = self.text_of(&token);
        let wish = match token.kind {
            TokenKind::Word if text == "RELEASE" => Wish::Release,
            TokenKind::Word if text == "LATEST" => Wish::Latest,
            TokenKind::Variable => Wish::Variable(text.trim_matches('%').into(), Place(token.span)),
            TokenKind::Quoted if exact => Wish::Exact(unquote(text).into()),
            _ if exact => return Err(self.fail("a version in quotes, RELEASE or LATEST")),
            _ => return Err(self.fail("RELEASE, LATEST or versions by platform such as `{js: '5.3.3'}`")),
        };
        self.next();
        Ok(wish)
    }

    // --- tokens ----------------------------------------------------------------------------------------------------

    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn previous(&self) -> &Token {
        &self.tokens[self.at.saturating_sub(1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().kind == kind;
        if found {
            self.next();
        }
        found
    }

    fn text_of(&self, token: &Token) -> &'a str {
        &self.text[token.bytes.clone()]
    }

    fn at_keyword(&self) -> Option<Keyword> {
        let token = self.peek();
        if token.kind == TokenKind::Word { Keyword::of(self.text_of(token)) } else { None }
    }

    fn may_come(&mut self, expectations: impl IntoIterator<Item = Expectation>) {
        if self.tokens[self.at].kind == TokenKind::End
            && let Some(expected) = &mut self.expected
        {
            expected.extend(expectations);
        }
    }

    /// Reports that something else stands here than what was wanted.
    fn fail(&mut self, wanted: &str) -> GivenUp {
        let token = self.peek().clone();
        let text = self.text_of(&token);
        // What is missing is missing behind the last word, not in front of a statement many lines below.
        let missing = Place(if self.at > 0 { self.previous().span.after() } else { token.span }).0;
        let diagnostic = match token.kind {
            TokenKind::End => {
                Diagnostic::new(Code::UnexpectedEnd, missing, format!("the script ends where {wanted} is expected"))
            }
            TokenKind::Unclosed => Diagnostic::new(Code::UnclosedString, token.span, "this quote is never closed")
                .help(format!("end the text with {}", &text[..1])),
            TokenKind::Stray => {
                Diagnostic::new(Code::BadCharacter, token.span, format!("expected {wanted}, found {text:?}"))
                    .help(if text == "%" { "a variable is written %name% or %%name%%" } else { "" })
            }
            _ if self.begins_statement() => {
                Diagnostic::new(Code::Unexpected, missing, format!("expected {wanted}, but the next statement begins"))
            }
            TokenKind::Quoted => {
                Diagnostic::new(Code::Unexpected, token.span, format!("expected {wanted}, found a text in quotes"))
            }
            _ => Diagnostic::new(Code::Unexpected, token.span, format!("expected {wanted}, found `{text}`")),
        };
        self.report(diagnostic)
    }

    fn report(&mut self, diagnostic: Diagnostic) -> GivenUp {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
        GivenUp
    }
}

/// The version a text says, if it says one.
pub(super) fn version_of(text: &str) -> Option<Version> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "LATEST" => Some(Version::Latest),
        _ if text.split('.').all(number) => Some(Version::Exact(text.into())),
        _ => None,
    }
}
